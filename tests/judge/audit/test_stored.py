"""`audit.json`: written, read back, and described by its schema."""

import json

import jsonschema
import pytest
from audits import audit_of

from qd_fool.errors import UserError
from qd_fool.judge.audit.stored import SCHEMA_FILE, plain_report, read_audit, write_audit

REPORT = audit_of([[100, None, 200], [150, 300, None]], right=[1, 0, 1])
SCHEMA = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))


def test_an_audit_is_read_back_unchanged(tmp_path):
    write_audit(tmp_path / "audit.json", REPORT)
    assert read_audit(tmp_path / "audit.json") == REPORT


def test_the_schema_describes_it(tmp_path):
    write_audit(tmp_path / "audit.json", REPORT)
    value = json.loads((tmp_path / "audit.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(value, SCHEMA)
    assert value == json.loads(json.dumps(plain_report(REPORT)))


@pytest.mark.parametrize("path", [("methods", 0, "fooled"), ("network", "name"), ("settings",)])
def test_the_schema_refuses_what_is_damaged(path):
    value = json.loads(json.dumps(plain_report(REPORT)))
    inner = value
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = 7
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(value, SCHEMA)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "expected JSON"),
        ("[]", "expected the audit.json of an audit"),
        ('{"kind": "transfer"}', "expected the audit.json of an audit"),
        ('{"kind": "audit", "schema_version": 99}', "schema_version is 99"),
        ('{"kind": "audit", "schema_version": 1}', "is damaged"),
    ],
)
def test_another_file_is_refused_in_a_sentence(tmp_path, text, words):
    path = tmp_path / "audit.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=words):
        read_audit(path)
