"""One test over many quick cases. Each test of pytest costs milliseconds of its own: more than such a case."""

import functools
import inspect
from collections.abc import Callable, Collection
from typing import TypeVar

Case = TypeVar("Case")


def for_every(cases: Collection[Case], name: Callable[[Case], str] = str) -> Callable[[Callable], Callable]:
    """Runs a test for every case, its first argument, and then fails with all that failed, by their names.

    Fixtures are made once for all of them. A case that takes a moment, or may be skipped, is one of pytest's own:
    `pytest.mark.parametrize`.
    """

    def decorated(test: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(test)
        _, *fixtures = signature.parameters.values()

        @functools.wraps(test)
        def of_all(**given: object) -> None:
            assert cases
            failures = [f"{name(case)}: {error}" for case in cases if (error := _failure(test, case, given))]
            assert not failures, f"{len(failures)} of {len(cases)}:\n" + "\n\n".join(failures)

        of_all.__signature__ = signature.replace(parameters=fixtures)  # what pytest gives it
        return of_all

    return decorated


def _failure(test: Callable[..., None], case: object, given: dict[str, object]) -> str | None:
    try:
        test(case, **given)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None
