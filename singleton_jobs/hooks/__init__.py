"""Who is told what happened: the dispatcher, and the hooks that ship with the library."""
