"""Finds breaking changes between two OpenAPI documents, as the findings that `breaking.py` prints.

A request may be sent by a client that knows only the old document, so nothing that was accepted may be rejected. A
response may be read by such a client, so it must contain what it contained, and no other types or values.
"""

METHODS = ("get", "put", "post", "delete", "patch", "head", "options")
# Limits of a value, and whether a greater limit accepts less.
LIMITS = {"minimum": True, "minLength": True, "minItems": True, "maximum": False, "maxLength": False, "maxItems": False}


class Diff:
    """The findings of a comparison."""

    def __init__(self, old, new):
        self.old, self.new, self.findings = old, new, []
        # Pairs of component schemas that are being compared, or have been.
        self.compared = set()

    def run(self):
        for path, item in self.old["paths"].items():
            for method in METHODS:
                if method in item:
                    new = self.new["paths"].get(path, {}).get(method)
                    self.operation(f"{method.upper()} {path}", item[method], new)
        return sorted(set(self.findings))

    def find(self, where, what):
        self.findings.append(f"{where}: {what}")

    def operation(self, where, old, new):
        if new is None:
            self.find(where, "operation removed")
            return
        self.scopes(where, old, new)
        self.parameters(where, old, new)
        old_body, new_body = old.get("requestBody") or {}, new.get("requestBody") or {}
        if new_body.get("required") and not old_body.get("required"):
            self.find(where, "a body is now required")
        self.content(f"{where} request", old_body, new_body, is_request=True)
        for status, response in old["responses"].items():
            if status in new["responses"]:
                self.content(f"{where} {status}", response, new["responses"][status], is_request=False)
            elif status.startswith("2"):
                self.find(where, f"response {status} removed")

    def scopes(self, where, old, new):
        ways = [set(next(iter(way.values()), [])) for way in new.get("security", [])]
        for way in old.get("security", []):
            scopes = set(next(iter(way.values()), []))
            if ways and not any(needed <= scopes for needed in ways):
                self.find(where, f"the scopes [{' '.join(sorted(scopes))}] no longer suffice")

    def parameters(self, where, old, new):
        def named(operation):
            return {(one["in"], one["name"].lower()): one for one in operation.get("parameters", [])}

        old, new = named(old), named(new)
        for key, parameter in new.items():
            at = f"{where} {' '.join(key)}"
            if key not in old:
                if parameter.get("required"):
                    self.find(at, "new required parameter")
            else:
                if parameter.get("required") and not old[key].get("required"):
                    self.find(at, "parameter is now required")
                self.schema(at, old[key]["schema"], parameter["schema"], is_request=True)
        for key in old.keys() - new.keys():
            self.find(f"{where} {' '.join(key)}", "parameter removed")

    def content(self, where, old, new, is_request):
        old, new = old.get("content", {}), new.get("content", {})
        for media, content in old.items():
            if media in new:
                self.schema(where, content["schema"], new[media]["schema"], is_request)
            else:
                self.find(where, f"media type {media} removed")

    def schema(self, where, old, new, is_request):
        """Compares two schemas. A response is compared the other way round: it may only become narrower."""
        names = old.get("$ref"), new.get("$ref"), is_request
        if names[0] and names[1]:
            if names in self.compared:
                return
            self.compared.add(names)
            # The findings of a shared schema are the same for every operation that uses it.
            where = f"{'request' if is_request else 'response'} {names[0].rsplit('/', 1)[1]}"
        olds, news = choices(self.old, old), choices(self.new, new)
        if len(olds) > 1 and len(news) > 1:
            for name in {one.get("$ref") for one in olds} & {one.get("$ref") for one in news} - {None}:
                self.schema(where, {"$ref": name}, {"$ref": name}, is_request)
                olds, news = ([one for one in side if one.get("$ref") != name] for side in (olds, news))
        if len(olds) == len(news) == 1:
            self.simple(where, resolved(self.old, olds[0]), resolved(self.new, news[0]), is_request)
            return
        for one in olds if is_request else news:
            if not any(self.fits(*((one, new) if is_request else (old, one)), is_request) for old in olds for new in news):
                what = "no longer accepted" if is_request else "newly possible"
                self.find(where, f"{describe(one)} is {what}")

    def fits(self, old, new, is_request):
        trial = Diff(self.old, self.new)
        trial.compared = set(self.compared)
        trial.simple("", resolved(self.old, old), resolved(self.new, new), is_request)
        return not trial.findings

    def simple(self, where, old, new, is_request):
        narrow, wide, what = (old, new, "no longer accepted") if is_request else (new, old, "newly possible")
        if lost := types(narrow) - types(wide):
            self.find(where, f"type {', '.join(sorted(lost))} is {what}")
            return
        if (accepted := values(wide)) is not None:
            given = values(narrow)
            lost = ["any other value"] if given is None else [f"value {value}" for value in sorted(given - accepted)]
            for value in lost:
                self.find(where, f"{value} is {what}")
        if old.get("format") != new.get("format") and (is_request and "format" in new or not is_request):
            self.find(where, f"format {old.get('format')} is now {new.get('format')}")
        if is_request:
            self.limits(where, old, new)
        self.fields(where, old, new, is_request)
        if isinstance(old.get("items"), dict) and isinstance(new.get("items"), dict):
            self.schema(f"{where}[]", old["items"], new["items"], is_request)

    def limits(self, where, old, new):
        if new.get("pattern") not in (None, old.get("pattern")):
            self.find(where, f"pattern is now {new['pattern']}")
        for key, greater_is_narrower in LIMITS.items():
            before, after = old.get(key), new.get(key)
            if after is not None and (before is None or before != after and (after > before) == greater_is_narrower):
                self.find(where, f"{key} {before} is now {after}")

    def fields(self, where, old, new, is_request):
        old_fields, new_fields = old.get("properties", {}), new.get("properties", {})
        old_required, new_required = set(old.get("required", [])), set(new.get("required", []))
        for name in sorted(old_fields.keys() - new_fields.keys()):
            self.find(f"{where}.{name}", "field removed")
        for name in sorted(new_required - old_required if is_request else old_required - new_required):
            if is_request or name in new_fields:
                self.find(f"{where}.{name}", "field is now required" if is_request else "field may now be absent")
        for name in old_fields.keys() & new_fields.keys():
            self.schema(f"{where}.{name}", old_fields[name], new_fields[name], is_request)


def resolved(document, schema):
    """The schema itself, or the component that it names."""
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return schema


def choices(document, schema):
    """The alternatives of a schema, or the schema alone."""
    target = resolved(document, schema)
    listed = target.get("oneOf") or target.get("anyOf")
    # Alternatives that only restrict the fields of an object are not compared.
    if not listed or "properties" in target:
        return [schema]
    found = [one for choice in listed for one in choices(document, choice)]
    constants = [values(one) for one in found]
    return found if None in constants else [{"type": "string", "enum": sorted(set().union(*constants))}]


def types(schema):
    named = schema.get("type", ["array", "boolean", "null", "number", "object", "string"])
    named = {named} if isinstance(named, str) else set(named)
    return named | {"integer"} if "number" in named else named


def values(schema):
    """The only accepted values. None if there is no such list."""
    listed = [schema["const"]] if "const" in schema else schema.get("enum")
    return None if listed is None else {str(value) for value in listed}


def describe(schema):
    return schema["$ref"].rsplit("/", 1)[1] if "$ref" in schema else " or ".join(sorted(types(schema)))
