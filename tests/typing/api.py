"""What type checkers make of the public API; checked by mypy and pyright, never run."""

from typing import assert_type

from singleton_jobs import Config, LeaseLocker, Replica, Skipped, Term, exclusive, leader_only, leadership


@leader_only(lease="function")
def function(number: int, *, name: str = "") -> str:
    return name * number


assert_type(function(1), str | Skipped)
assert_type(function(1, name="x"), str | Skipped)
function("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
assert_type(function.leadership.is_leader, bool)


@leader_only(lease="coroutine")
async def coroutine(number: int) -> str:
    return str(number)


async def await_it() -> None:
    assert_type(await coroutine(1), str | Skipped)
    assert_type(await strict_coroutine(1), int)


@leader_only(lease="strict", on_skip="raise")
def strict(number: int) -> str:
    return str(number)


assert_type(strict(1), str)


@leader_only(lease="strict", on_skip="raise")
async def strict_coroutine(number: int) -> int:
    return number


class Reports:
    @leader_only(lease="method")
    def method(self, number: int) -> str:
        return str(number)

    @leader_only(lease="method")
    async def async_method(self, number: int) -> str:
        return str(number)

    @staticmethod
    @leader_only(lease="method")
    def static(number: int) -> str:
        return str(number)

    @leader_only(lease="method", on_skip="raise")
    def strict(self, number: int) -> str:
        return str(number)


reports = Reports()
assert_type(reports.method(1), str | Skipped)
assert_type(Reports.static(1), str | Skipped)
assert_type(reports.static(1), str | Skipped)  # type: ignore[call-arg]  # mypy binds it all the same
assert_type(reports.strict(1), str)
reports.method("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def await_method() -> None:
    assert_type(await reports.async_method(1), str | Skipped)


@exclusive(lease="rebuild", wait=5)
def rebuild() -> int:
    return 1


@exclusive("rebuild", on_busy="raise")
def strict_rebuild() -> int:
    return 1


@exclusive("rebuild", on_busy="retry", countdown=30)
def retried_rebuild() -> int:
    return 1


@exclusive("sync", key="tenant")
def sync(tenant: str) -> int:
    return 1


@exclusive("sync", key=lambda tenant, page: f"{tenant}-{page}", on_busy="raise")
async def strict_sync(tenant: str, page: int) -> int:
    return 1


async def await_strict_sync() -> None:
    assert_type(await strict_sync("acme", 1), int)


assert_type(sync("acme"), int | Skipped)
leader_only("sync", key="tenant")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
LeaseLocker("sync", key="acme")
assert_type(rebuild(), int | Skipped)
assert_type(strict_rebuild(), int)
assert_type(retried_rebuild(), int | Skipped)
exclusive("rebuild", countdown=30)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


@leader_only("own", job="hourly", at_most_every=3600)
def hourly() -> int:
    return 1


assert_type(hourly(), int | Skipped)

locker = LeaseLocker("migration", config=Config(lease_duration=30))
with locker.hold(timeout=1) as term:
    assert_type(term, Term)
with locker as held:
    assert_type(held, Term)
assert_type(locker.try_lock(), bool)


@locker.leader_only
def while_held(number: int) -> int:
    return number


assert_type(while_held(1), int | Skipped)


@Replica(store="memory:").leader_only("own")
def own(number: int) -> int:
    return number


assert_type(own(1), int | Skipped)


async def run() -> None:
    async def main(term: Term) -> int:
        return term.fencing_token

    assert_type(await leadership("x").run(main), int | None)
