"""The errors and what is written about them."""

import ast
import re
from pathlib import Path

import app.errors
import ot3l_core.errors
from app.errors import ServiceError
from app.services.dispatch import WORKER_LOST
from ot3l_core.errors import CoreError

ROOT = Path(__file__).parents[2]
ANSWERS, FAILURES = (ROOT / "docs" / "errors.md").read_text().split("## Failed work")
NEVER_RAISED = {"core_error", "backbone_error"}
"""Codes of bases that only their subclasses are raised for."""
NO_FAILURE = {"cancelled"}


def family(base):
    """A class and all that come from it, each before its own."""
    return [base, *(found for child in base.__subclasses__() for found in family(child))]


def of_module(base, module):
    return [error for error in family(base) if error.__module__ == module.__name__]


def literals_of(path, function, place):
    """The codes that a function is called with in a module."""
    calls = [node for node in ast.walk(ast.parse((ROOT / path).read_text())) if isinstance(node, ast.Call)]
    return {call.args[place].value for call in calls if function in ast.unparse(call.func) and is_text(call, place)}


def is_text(call, place):
    return len(call.args) > place and isinstance(call.args[place], ast.Constant)


def test_every_answer_is_documented_and_nothing_else():
    documented = re.findall(r"^\| `(\w+)` \| (\d+) \|", ANSWERS, re.MULTILINE)
    raised = {
        (error.type_, error.status)
        for error in of_module(ServiceError, app.errors)
        if error.type_ != "too_many_requests"
    }
    assert len(documented) == len(set(documented))
    assert {(code, int(status)) for code, status in documented} == raised
    assert [int(status) for _, status in documented] == sorted(int(status) for _, status in documented)


def test_every_failure_is_documented_and_nothing_else():
    heading, *documented = re.findall(r"^\| `(\w+)` \|", FAILURES, re.MULTILINE)
    own = {WORKER_LOST["code"], *literals_of("worker/lifecycle.py", "_failure", 0)}
    core = {error.code for error in of_module(CoreError, ot3l_core.errors)} - NEVER_RAISED - NO_FAILURE
    assert heading == "code"
    assert sorted(documented) == sorted(core | own)


def test_what_the_server_refuses_before_the_application_has_the_same_codes():
    codes = literals_of("app/guard.py", "_refuse", 1)
    assert codes
    assert codes <= {error.type_ for error in of_module(ServiceError, app.errors)}


def test_the_trees_in_the_modules_are_the_classes():
    drawn = re.findall(r"(\w+Error)\s+(\d*)\s*(\w+)$", app.errors.__doc__, re.MULTILINE)
    classes = of_module(ServiceError, app.errors)
    assert [name for name, _, _ in drawn] == [error.__name__ for error in classes]
    for (_, status, code), error in zip(drawn, classes, strict=True):
        inherited = error.__base__.__dict__.get("status") if error is not ServiceError else None
        assert code == error.type_
        assert status == ("" if error.status == inherited else str(error.status))
    core = re.findall(r"─ (\w+)", ot3l_core.errors.__doc__)
    assert {"CoreError", *core} == {error.__name__ for error in of_module(CoreError, ot3l_core.errors)}


def test_a_code_is_one_error_and_its_children_share_its_status():
    classes = of_module(ServiceError, app.errors)
    codes = [error.type_ for error in classes]
    assert sorted(set(codes)) == sorted(codes)
    children = [error for error in classes if error.__base__ in classes and error.__base__ is not ServiceError]
    assert all(error.status == error.__base__.status for error in children)
