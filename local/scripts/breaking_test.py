"""Usage: breaking_test.py

Tests which changes of an OpenAPI document are breaking, and what breaking.py compares.
"""

import copy
import subprocess
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import breaking
from openapi_diff import Diff

SCOPES = [{"token": ["read"]}, {"token": ["admin"]}]
PLACE = {"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}, "zip": {"type": "string"}}}
ITEM = {
    "type": "object",
    "required": ["id", "kind"],
    "properties": {
        "id": {"type": "integer", "format": "int64"},
        "kind": {"oneOf": [{"type": "string", "const": "a"}, {"type": "string", "const": "b"}]},
        "note": {"type": ["string", "null"]},
        "place": {"anyOf": [{"$ref": "#/components/schemas/Place"}, {"type": "null"}]},
        "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Item"}},
    },
}
BODY = {
    "type": "object",
    "required": ["kind"],
    "properties": {
        "kind": {"type": "string", "enum": ["a", "b"]},
        "amount": {"type": "integer", "minimum": 1, "maximum": 9},
        "text": {"type": "string", "maxLength": 9},
    },
}
DOCUMENT = {
    "paths": {
        "/items": {
            "get": {
                "security": SCOPES,
                "parameters": [{"in": "query", "name": "limit", "required": False, "schema": {"type": "integer"}}],
                "responses": {
                    "200": {
                        "content": {
                            "application/json": {"schema": {"$ref": "#/components/schemas/Item"}},
                            "text/csv": {"schema": {"type": "string"}},
                        }
                    },
                    "504": {},
                },
            },
            "post": {
                "requestBody": {"required": True, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Body"}}}},
                "responses": {"200": {}},
            },
        }
    },
    "components": {"schemas": {"Item": ITEM, "Place": PLACE, "Body": BODY}},
}
GET, POST = (("paths", "/items", method) for method in ("get", "post"))
LIMIT = (*GET, "parameters", 0)
RESPONSE = (*GET, "responses", "200", "content")
FIELDS, PLACE_FIELDS, BODY_FIELDS = (("components", "schemas", name, "properties") for name in ("Item", "Place", "Body"))
REMOVED = object()


def findings(*changes):
    new = copy.deepcopy(DOCUMENT)
    for path, value in changes:
        *parents, last = path
        at = new
        for key in parents:
            at = at[key]
        if value is REMOVED:
            del at[last]
        else:
            at[last] = value
    return Diff(DOCUMENT, new).run()


class Changes(unittest.TestCase):
    def expect(self, path, value, *expected):
        self.assertEqual(findings((path, value)), sorted(expected))

    def test_an_unchanged_document_breaks_nothing(self):
        self.assertEqual(findings(), [])

    def test_what_was_there_must_stay(self):
        self.expect(GET, REMOVED, "GET /items: operation removed")
        self.expect((*GET, "parameters"), [], "GET /items query limit: parameter removed")
        self.expect((*GET, "responses", "200"), REMOVED, "GET /items: response 200 removed")
        self.expect((*GET, "responses", "504"), REMOVED)
        self.expect((*RESPONSE, "text/csv"), REMOVED, "GET /items 200: media type text/csv removed")
        self.expect((*FIELDS, "note"), REMOVED, "response Item.note: field removed")
        self.expect((*PLACE_FIELDS, "zip"), REMOVED, "response Place.zip: field removed")
        self.expect((*BODY_FIELDS, "text"), REMOVED, "request Body.text: field removed")

    def test_additions_break_nothing(self):
        self.expect((*GET[:2], "delete"), DOCUMENT["paths"]["/items"]["post"])
        self.expect((*FIELDS, "more"), {"type": "string"})
        self.expect((*PLACE_FIELDS, "more"), {"type": "string"})
        self.expect((*BODY_FIELDS, "more"), {"type": "string"})
        self.expect((*GET, "security"), [*SCOPES, {"token": ["other"]}])

    def test_a_request_may_not_need_more(self):
        self.expect((*LIMIT, "required"), True, "GET /items query limit: parameter is now required")
        new = {"in": "header", "name": "Key", "required": True, "schema": {"type": "string"}}
        self.expect((*POST, "parameters"), [new], "POST /items header key: new required parameter")
        self.expect((*POST, "parameters"), [{**new, "required": False}])
        body = DOCUMENT["paths"]["/items"]["post"]["requestBody"]
        self.expect((*GET, "requestBody"), body, "GET /items: a body is now required")
        self.expect(("components", "schemas", "Body", "required"), ["kind", "text"], "request Body.text: field is now required")
        self.expect((*GET, "security"), SCOPES[1:], "GET /items: the scopes [read] no longer suffice")

    def test_a_request_may_accept_more_but_not_less(self):
        self.expect((*BODY_FIELDS, "amount", "maximum"), 10)
        self.expect((*BODY_FIELDS, "amount", "maximum"), 8, "request Body.amount: maximum 9 is now 8")
        self.expect((*BODY_FIELDS, "amount", "minimum"), 2, "request Body.amount: minimum 1 is now 2")
        self.expect((*BODY_FIELDS, "amount", "type"), "number")
        self.expect((*BODY_FIELDS, "amount", "type"), "string", "request Body.amount: type integer is no longer accepted")
        self.expect((*BODY_FIELDS, "text", "minLength"), 1, "request Body.text: minLength None is now 1")
        self.expect((*BODY_FIELDS, "text", "pattern"), "x", "request Body.text: pattern is now x")
        self.expect((*BODY_FIELDS, "kind", "enum"), ["a", "b", "c"])
        self.expect((*BODY_FIELDS, "kind", "enum"), ["a"], "request Body.kind: value b is no longer accepted")

    def test_a_response_may_promise_more_but_not_less(self):
        self.expect((*FIELDS, "note", "type"), "string")
        self.expect((*FIELDS, "id", "type"), ["integer", "null"], "response Item.id: type null is newly possible")
        self.expect((*FIELDS, "id", "format"), "int32", "response Item.id: format int64 is now int32")
        self.expect(("components", "schemas", "Item", "required"), ["id"], "response Item.kind: field may now be absent")
        self.expect((*FIELDS, "place"), {"$ref": "#/components/schemas/Place"})
        self.expect((*FIELDS, "place", "anyOf", 1, "type"), "boolean", "response Item.place: type boolean is newly possible")
        kinds = ITEM["properties"]["kind"]["oneOf"]
        self.expect((*FIELDS, "kind", "oneOf"), kinds[:1])
        self.expect((*FIELDS, "kind"), {"type": "string"}, "response Item.kind: any other value is newly possible")
        new = [*kinds, {"type": "string", "const": "c"}]
        self.expect((*FIELDS, "kind", "oneOf"), new, "response Item.kind: value c is newly possible")


class Reference(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name) / "repository"
        self.run_git("init", "--quiet", "--initial-branch=main", str(self.folder), cwd=folder.name)
        self.first, self.second = self.commit(), self.commit()

    def run_git(self, *arguments, cwd=None):
        config = ("user.name=t", "user.email=t@example.com", "commit.gpgSign=false", "tag.gpgSign=false")
        command = ["git", *(part for setting in config for part in ("-c", setting)), *arguments]
        return subprocess.run(command, cwd=cwd or self.folder, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self):
        self.run_git("commit", "--quiet", "--allow-empty", "--message", "m")
        return self.run_git("rev-parse", "HEAD")

    def reference(self, folder=None):
        with mock.patch.object(breaking, "ROOT", folder or self.folder):
            return breaking.reference()

    def test_the_last_release_is_compared_with(self):
        self.run_git("tag", "v0.1.0", self.first)
        self.assertEqual(self.reference(), "v0.1.0")

    def test_a_release_is_compared_with_the_one_before(self):
        self.run_git("tag", "v0.1.0", self.first)
        self.run_git("tag", "v0.2.0", self.second)
        self.assertEqual(self.reference(), "v0.1.0")

    def test_before_the_first_release_a_branch_is_compared_with_where_it_left_main(self):
        self.run_git("switch", "--quiet", "--create", "branch")
        self.commit()
        self.assertEqual(self.reference(), self.second)

    def test_before_the_first_release_main_is_compared_with_the_commit_before(self):
        self.assertEqual(self.reference(), self.first)

    def test_a_shallow_clone_has_nothing_to_compare_with(self):
        clone = self.folder.parent / "clone"
        self.run_git("clone", "--quiet", "--depth=1", f"file://{self.folder}", str(clone))
        self.assertIsNone(self.reference(clone))

    def test_a_listed_break_needs_a_reason(self):
        self.assertEqual(breaking.allowed("# head\n\n# reason\nhttp: a\nhttp: b\n"), {"http: a", "http: b"})
        with self.assertRaises(SystemExit):
            breaking.allowed("# head\n\nhttp: a\n")


if __name__ == "__main__":
    unittest.main()
