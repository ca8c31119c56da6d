"""What importing costs."""

import ast
from pathlib import Path

import singleton_jobs
from unit.programs import run


def test_touching_every_public_name_imports_nothing_heavy():
    out = run(
        """
        import sys
        import singleton_jobs
        for name in singleton_jobs.__all__:
            getattr(singleton_jobs, name)
        print(sorted({"kubernetes", "aiohappyeyeballs", "asyncio", "wrapt", "sqlite3"} & set(sys.modules)))
        """
    )
    assert out.strip() == "[]"


def test_importing_the_package_imports_none_of_its_modules():
    out = run("import sys, singleton_jobs; print([name for name in sys.modules if name.startswith('singleton_jobs.')])")
    assert out.strip() == "[]"


def test_a_replica_in_memory_needs_no_kubernetes():
    out = run(
        """
        import sys
        from singleton_jobs import Replica
        with Replica(store="memory:") as replica:
            assert replica.leader_only(lease="nightly")(lambda: "ran")() == "ran"
        print(sorted({"kubernetes", "aiohappyeyeballs", "sqlite3"} & set(sys.modules)))
        """
    )
    assert out.strip() == "[]"


def test_a_replica_of_the_demo_in_a_file_needs_no_kubernetes():
    out = run(
        """
        import sys
        import singleton_jobs.cli.demo.replica
        print(sorted({"kubernetes", "aiohappyeyeballs"} & set(sys.modules)))
        """
    )
    assert out.strip() == "[]"


def test_unknown_names_are_attribute_errors():
    out = run(
        """
        import singleton_jobs, singleton_jobs.locks
        for module in (singleton_jobs, singleton_jobs.locks):
            try:
                module.nothing
            except AttributeError as error:
                print(error)
        """
    )
    assert out.count("nothing") == 2


def test_type_checkers_find_each_public_name_where_it_is_imported_from():
    tree = ast.parse(Path(singleton_jobs.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    told = {alias.asname: node.module for node in block.body for alias in node.names}
    assert told == singleton_jobs._HOMES
