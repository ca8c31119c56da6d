"""The rules that the promises in docs/guarantees.md rest on: the contract that any change has to keep.

They bind all rooms, not only this one. `make mutants` breaks each in turn, and a test goes red. Seconds are the clock's
that no wall clock moves (boot time) unless a rule says otherwise; words are explained in docs/architecture.md.
"""

__all__ = ["RULES"]

RULES = {
    # Holding
    1: (
        "A hold counts from before its last acknowledged write was sent, for `renew_deadline`. A read never creates "
        "or extends one."
    ),
    2: (
        "Whoever first finds the deadline passed, a check or the renewal thread, latches the loss under the mutex "
        "that renewals extend under; an acknowledgement that is read later revives nothing. A check that passes takes "
        "no lock."
    ),
    3: (
        "`lease_duration` exceeds `renew_deadline` by the greater of a second and a tenth of itself, and "
        "`renew_deadline` exceeds 1.2 retry periods, or Config refuses them by number. A request is clipped to what "
        "is left of the hold, and the child of `singleton-jobs run` is dead before another may lead."
    ),
    4: (
        "Each write's renewTime is later than that of any own write before it, also while the wall clock stands still "
        "or is set back; less than a second from another's that it replaces, it becomes a second later than that, as "
        "some compare whole seconds. A 2xx that stored nothing newer is no renewal."
    ),
    5: (
        "A steady holder sends one write per retry period and reads nothing; claims may add writes, and a fault in "
        "one step costs a period at most. After a conflict it reads, and its term goes on only in a record with the "
        "same uid, holder, acquireTime and transitions."
    ),
    6: (
        "A loss is told at the deadline, also while requests queue: `Term.lost` is set, coroutines are cancelled, "
        "hooks and callbacks hear of it. These are hints and a check is the truth; people's callbacks never run on "
        "the renewal thread."
    ),
    # Taking
    7: (
        "A follower takes a record that names another only after seeing it unchanged for the record's own duration, "
        "on its own clock, from the receipt of the answer that first showed it. Unchanged are uid, holder, duration, "
        "acquireTime, renewTime and transitions, not the version, which anybody's edit of an annotation raises; an "
        "answer older than one seen before is ignored."
    ),
    8: (
        "What was seen outlives an attempt to lock: the next goes on from it. At first sight a record that names "
        "another is taken only if the store itself calls it dead: by the API server's clock nobody has touched it for "
        "its duration and `stale_after`, or the process that holds it in a SQLite file is gone. "
        "(`use_observed_time=False` compares renewTime with the wall clock instead.)"
    ),
    9: (
        "An identity ends in a random part, new in each process and for each lock. A record with our name is taken at "
        "once only if it is exactly a write that this process has sent; and while work of an ended term still runs "
        "here, its leadership does not compete."
    ),
    10: (
        "Every write and every deletion is a compare-and-swap on uid and version. Creation is a PUT without a version, "
        "which a Role can limit by name; the 422 that a lost race for it is answered with is a conflict, and no other "
        "422 is. The lease of a key, which no Role can name, is created by a POST."
    ),
    11: (
        "A lease that vanished is lost. Whoever last saw a live record there, or just lost a race for it, waits out "
        "its duration before creating it anew, with the ledger last seen. That of a key was given back by whoever "
        "deleted it: it is free at once. It is created without a look, and only a conflict has it read."
    ),
    12: (
        "An empty holder is free at first sight, and a record that runs out is taken then, not at the next poll. "
        "Followers that no watch tells poll each 1 to 1.2 retry periods. They spread over 10 ms after a release they "
        "saw, over more where they have been in each other's way, and the loser of a race waits for its next sight."
    ),
    13: (
        "Each acquisition adds one to leaseTransitions, from 1 on, and starts a term, whose fencing token is the "
        "version of the acquiring write."
    ),
    # Writing
    14: (
        "Nothing is sent again behind the candidate's back, also not on a connection that dropped; a 401 is certainly "
        "not done, and rule 17's. Each request ends within its timeout, of which the server is told, too; a holder "
        "obeys Retry-After as far as its hold lasts."
    ),
    15: (
        "A write is *not done* (no connection; a 4xx but 408 and 409), a *conflict* (409, a 404 of the lease, or rule "
        "10's 422) or else *unknown*, an unreadable 2xx included. What is unknown may land later: a read that shows "
        "the old version settles nothing, and nonces tell whether a claim has landed."
    ),
    16: (
        "Labels, annotations and fields of others travel through every write, but for a request to step down, which "
        "any holder's write drops; managedFields are left out."
    ),
    17: (
        "After a 401 the credentials, and connections made with them, are replaced, once per request. A 403 names the "
        "missing Role: followers ask again each 30 s, a holder tries on while its hold lasts (a server that has just "
        "started denies everything), and guarded calls are skipped for it. A namespace's 404 is not a lease's."
    ),
    # Ending
    18: (
        "A drain refuses new work but not what running work calls, and goes on renewing until that has ended. Then the "
        "term ends and the record that was seen last is freed; after a conflict it is read, and freed if it is ours. "
        "So it is after any failure, for as long as the hold would have lasted, if an ended run is yet to be told. "
        "The lease of a key is deleted instead, once no mark in it counts; those of dead holders by whoever uses a key "
        "of the same base, as soon as they could be taken. At the drain limit the term is lost instead and the record "
        "runs out. An end that was interrupted is finished by the renewal thread."
    ),
    19: (
        "Who steps down does not compete for two retry periods, and regards its own record as a stranger's. Only the "
        "holder that a request to step down names obeys it, once its work has ended; locks never do."
    ),
    20: (
        "The interpreter's exit releases, within 2 s and without an executor, what no work runs under. As SIGTERM "
        'skips that, `running(sigterm="exit")` makes it a SystemExit, once.'
    ),
    21: (
        "A forked child holds nothing: inherited terms are invalid; identity, locks and thread are its own. It closes "
        "none of its parent's loops, sockets and connections, only keeps them referenced; a fork that Python did not "
        "make is noticed by its pid at the next use."
    ),
    22: (
        "Renewals run on a native thread also where gevent or eventlet has patched threading; gevent's hub is made on "
        "the calling thread before."
    ),
    # Claims
    23: (
        "A claim is granted if the stored mark of its job has its nonce, refused if that has another and is at or "
        "past its fire, and else in doubt; it belongs to the term that asked. While that lasts, it rides in every own "
        "write until it is decided, and once sent is never refused for want of an answer. After that, if it landed, "
        "its fire may run under this process's next term while the mark has its nonce, and is otherwise told as "
        "interrupted."
    ),
    24: (
        "A grant that is learned after the term's end gives no right to run under it. Of several messages for one "
        "fire none is begun after the term, and a beat's message expires, at its first delivery only, when its "
        "entry's next fire has come and the lease's duration has passed since the claim."
    ),
    25: (
        "A scheduler claims a fire before it runs or sends it, all that is due in one write; of a job's several fires "
        "the latest becomes the mark, and its nonce stands for all of them. A leader's claims end with their term and "
        "never ride in an acquiring write (a bid's do: rule 33); a crash may lose every fire that was claimed and has "
        "not ended."
    ),
    26: (
        "A run off schedule, asked for by hand, needs a valid term, and neither reads nor moves the mark. A "
        "scheduler's job without a mark is given one, so that its past is not due; a direct "
        "`claim` for such a job is granted."
    ),
    27: (
        "The ledger's time is the store's: the date of its answers, carried on by the boot clock. A fire over 60 s "
        "ahead of it is refused, a mark that far ahead is lowered to it, and a replica whose own clock is that far "
        "off leaves, and does not take, leases that carry a ledger: who was only told for long reads before."
    ),
    28: (
        "A job's key names its source (`app:`, `fn:`, `aps:`, `celery:`), and ids made up at each start are refused. "
        "A mark is dropped only when no program here has its job and it is over 30 days old; a ledger that is "
        "unreadable or of a newer version is kept, and claims are refused. Past 16 KiB the lease is named in a "
        "warning; what would not fit into 200 KiB, or into what others' annotations leave, is refused before any "
        "request."
    ),
    29: (
        "`at_most_every` counts from start to start in the store's time, by a claim before the run, so that failures "
        "count; 95 % of the interval suffice. A lock's is a bid (rule 33), which leaves the lease if it is too soon "
        "and there is nothing to tell its ledger, and claims once it is taken if the time is not known before. The "
        "mark keeps the lease of a key so long, and no longer, an attempt that is to run again until it has ended, and "
        "a ledger that cannot be read for ever."
    ),
    # Stores
    30: (
        "Every store passes the contract suite of the Lease: versions grow, also past a deletion, and a swap replaces "
        "exactly what it names. SQLite locks before it compares, syncs to disk before it answers, has one connection "
        "per process, off the event loop's thread, is not forked in a transaction and refuses folders that cannot "
        "lock files; memory is for tests and single processes."
    ),
    31: (
        "What a watch tells counts as an answered read, but is never older than what was seen, waits while a request "
        "is under way, and says nothing about a release. So one that lags, lies or hangs delays a take-over at most: "
        "beneath it the record is read after a silence of half a `lease_duration`, and at the instant at which it may "
        "be taken, and a watch that had not told what is found is made anew."
    ),
    # Attempts
    32: (
        "A run of a fire that may run again is kept in the ledger as an attempt, under a nonce of its own, from its "
        "claim until it has ended, which is written at once. Another attempt takes its place by compare-and-swap, "
        "under a valid term, never while it runs in that process, before later fires of its job, and only if it was "
        "cut short: by its process's death, the loss of its term or an end that did not wait for it, not by what the "
        "job raised. At the last attempt it is given up, and told."
    ),
    # Bids
    33: (
        "Where nobody leads, a lease is taken for a bid, by the very write that claims what the bid wants; it is asked "
        "for that with the marks of exactly the record that the write replaces, and takes nothing if its job's mark is "
        "not the one it was planned by. Its claims are granted to the term of a write that was acknowledged in time "
        "and that took the lease with them, or over a record that has their nonces. After an unknown outcome a read "
        "decides: if our write is there, it is taken again; over the old version, the same nonces are sent again; "
        "if another has come, it is over. What is given up is freed, and its claims, granted to nobody, are taken back "
        "in that write; if none gets through, the fire is told as interrupted, and never runs. A run that was cut "
        "short is told of by whoever claims after it. A scout takes nothing. Whoever cannot claim what it bids for, by "
        "a clock or for want of room, rests before its next bid."
    ),
}
