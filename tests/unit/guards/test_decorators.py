"""What decorated functions still are: named, bound, awaited, pickled and compared like functions."""

import asyncio
import copy
import functools
import inspect
import pickle

import pytest

from singleton_jobs import ConfigError, Replica, exclusive, leader_only
from singleton_jobs.locks import MemorySpace
from unit.stage import DRIVER, PUSHED, QUICK

REPLICA = Replica(store=MemorySpace(), config=QUICK, clock=PUSHED.clock, driver=DRIVER)


@REPLICA.leader_only(lease="module")
def plain(a: int, b: str = "x") -> str:
    """It has a docstring."""
    return f"{a}{b}"


@REPLICA.leader_only(lease="module")
async def coroutine() -> str:
    return "awaited"


class Jobs:
    def __init__(self, name="jobs"):
        self.name = name

    @REPLICA.leader_only(lease="module")
    def method(self, more):
        return self.name, more

    @REPLICA.leader_only(lease="module")
    async def async_method(self):
        return self.name

    @REPLICA.leader_only(lease="module")
    @classmethod
    def inner_class_method(cls):
        return cls

    @classmethod
    @REPLICA.leader_only(lease="module")
    def outer_class_method(cls):
        return cls

    @REPLICA.leader_only(lease="module")
    @staticmethod
    def inner_static_method(x):
        return x

    @staticmethod
    @REPLICA.leader_only(lease="module")
    def outer_static_method(x):
        return x


class Derived(Jobs):
    pass


def test_a_function_runs():
    assert plain(1, b="y") == "1y"


def test_a_coroutine_function_runs():
    assert asyncio.run(coroutine()) == "awaited"


def test_a_method_is_bound():
    assert Jobs("mine").method(3) == ("mine", 3)


def test_a_coroutine_method_is_bound():
    assert asyncio.run(Jobs("mine").async_method()) == "mine"


@pytest.mark.parametrize("name", ["inner_class_method", "outer_class_method"])
def test_a_class_method_is_bound_to_the_class(name):
    assert getattr(Derived, name)() is Derived
    assert getattr(Jobs(), name)() is Jobs


@pytest.mark.parametrize("name", ["inner_static_method", "outer_static_method"])
def test_a_static_method_is_not_bound(name):
    assert getattr(Jobs, name)(5) == getattr(Jobs(), name)(5) == 5


def test_name_docstring_and_module_are_those_of_the_function():
    assert (plain.__name__, plain.__qualname__, plain.__module__) == ("plain", "plain", __name__)
    assert plain.__doc__ == "It has a docstring."


def test_the_signature_is_that_of_the_function():
    assert str(inspect.signature(plain)) == "(a: int, b: str = 'x') -> str"


def test_the_function_itself_can_be_reached():
    assert plain.__wrapped__(2) == "2x"
    assert inspect.unwrap(plain) is plain.__wrapped__


@pytest.mark.filterwarnings("ignore:'asyncio.iscoroutinefunction' is deprecated:DeprecationWarning")  # others ask so
@pytest.mark.parametrize("ask", [inspect.iscoroutinefunction, asyncio.iscoroutinefunction])
def test_coroutine_functions_are_known_as_such(ask):
    assert ask(coroutine)
    assert ask(Jobs().async_method)
    assert not ask(plain)


def test_the_leadership_can_be_reached():
    assert plain.leadership is coroutine.leadership is REPLICA.leadership("module")


def test_a_bound_methods_leadership_can_be_reached():
    assert Jobs().method.leadership is plain.leadership


@pytest.mark.parametrize("name", ["plain", "coroutine"])
def test_a_guarded_function_is_pickled_by_name(name):
    function = globals()[name]
    assert pickle.loads(pickle.dumps(function)) is function


def test_a_guarded_method_is_pickled_with_its_object():
    method = pickle.loads(pickle.dumps(Jobs("mine").method))
    assert method(3) == ("mine", 3)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_copies_are_the_function_itself(copied):
    assert copied(plain) is plain


def test_a_guarded_function_is_equal_to_itself_and_hashable():
    assert plain == plain
    assert len({plain, plain, coroutine}) == 2


def test_bound_methods_of_one_object_are_equal():
    jobs = Jobs()
    assert jobs.method == jobs.method


def test_a_partial_of_a_guarded_function_works():
    assert functools.partial(plain, 9)() == "9x"


def test_a_partial_can_be_guarded():
    assert REPLICA.leader_only(lease="module")(functools.partial(max, 3))(2) == 3


def test_a_callable_object_can_be_guarded():
    class Callable:
        async def __call__(self):
            return "called"

    assert asyncio.run(REPLICA.leader_only(lease="module")(Callable())()) == "called"


def generator():
    yield 1


async def async_generator():
    yield 1


class GeneratorObject:
    def __call__(self):
        yield 1


@pytest.mark.parametrize(
    "target",
    [generator, async_generator, GeneratorObject(), staticmethod(generator), classmethod(async_generator)],
    ids=["generator", "async generator", "object", "static", "class method"],
)
@pytest.mark.parametrize("decorator", ["leader_only", "exclusive"])
def test_generators_are_refused(target, decorator):
    with pytest.raises(TypeError, match="generator"):
        getattr(REPLICA, decorator)(lease=decorator.replace("_", "-"))(target)


def test_classes_are_refused():
    with pytest.raises(TypeError, match="Jobs"):
        REPLICA.leader_only(lease="module")(Jobs)


@pytest.mark.parametrize("target", [None, 7, "text"])
def test_what_cannot_be_called_is_refused(target):
    with pytest.raises(TypeError, match="functions"):
        REPLICA.leader_only(lease="module")(target)


@pytest.mark.filterwarnings("ignore")
def test_celery_tasks_are_refused_with_the_right_order():
    celery = pytest.importorskip("celery")
    app = celery.Celery("test", broker="memory://", set_as_current=False)

    @app.task(name="lazy")
    def lazy():
        pass

    with pytest.raises(TypeError, match=r"under @app\.task"):
        REPLICA.leader_only(lease="module")(lazy)
    app.finalize()
    with pytest.raises(TypeError, match=r"under @app\.task"):
        REPLICA.leader_only(lease="module")(app.tasks["lazy"])


@pytest.mark.filterwarnings("ignore")
def test_a_guarded_function_can_be_a_celery_task():
    celery = pytest.importorskip("celery")
    app = celery.Celery("test", broker="memory://", set_as_current=False)
    task = app.task(plain, name="plain")
    assert task(4) == "4x"


@pytest.mark.parametrize("decorator", [leader_only, exclusive])
def test_the_decorator_needs_its_parentheses(decorator):
    with pytest.raises(TypeError, match="parentheses"):
        decorator(generator)


@pytest.mark.parametrize("decorator", [leader_only, exclusive])
def test_a_bad_name_is_refused_at_decoration(decorator):
    with pytest.raises(ConfigError, match="DNS-1123"):
        decorator("../x")


def test_bad_options_are_refused_at_decoration():
    with pytest.raises(ConfigError, match="on_skip"):
        leader_only(lease="x", on_skip="explode")
    with pytest.raises(ConfigError, match="on_busy"):
        exclusive(lease="x", on_busy="explode")
    with pytest.raises(ConfigError, match="wait"):
        exclusive(lease="x", wait=-1)
