"""What the server tells programs, read by the libraries that those have: metrics, and the description of the HTTP API."""

import json
import pathlib
import ssl
import urllib.request

from openapi_spec_validator import validate
from prometheus_client.openmetrics import parser

API = pathlib.Path(__file__).parents[2] / "docs" / "api" / "openapi.json"


def metrics_are_open_metrics(server):
    """The parser of prometheus_client is strict: names, units, types, order, the end."""
    server.add_account("meter", "soldierly")
    monitoring = f"http://127.0.0.1:{server.monitoring}"
    # A family has no line until something was counted.
    urllib.request.urlopen(f"{monitoring}/health/ready", timeout=20).close()
    with urllib.request.urlopen(f"{monitoring}/metrics", timeout=20) as answer:
        kind, text = answer.headers["content-type"], answer.read().decode()
    assert kind == "application/openmetrics-text; version=1.0.0; charset=utf-8", kind
    found = {family.name: family for family in parser.text_string_to_metric_families(text)}
    assert len(found) >= 30, sorted(found)
    for name, kind in (
        ("waxwing_sessions", "gauge"),
        ("waxwing_stanzas_received", "counter"),
        ("waxwing_http_requests", "counter"),
        ("waxwing_storage_commit_seconds", "histogram"),
    ):
        assert found[name].type == kind, (name, found[name].type)
        assert found[name].documentation, name
    assert found["waxwing_received_bytes"].unit == "bytes"
    commits = found["waxwing_storage_commit_seconds"].samples
    count = {sample.name.rsplit("_", 1)[1]: sample.value for sample in commits}["count"]
    # The account, at least.
    assert count > 0, commits


def the_api_is_described(server):
    """The description is valid OpenAPI, and the one in the documents."""
    context = ssl.create_default_context(cafile=str(server.ca))
    address = f"https://localhost:{server.https}/api/v1/openapi.json"
    with urllib.request.urlopen(address, context=context, timeout=20) as answer:
        described = json.load(answer)
    assert described == json.loads(API.read_text())
    assert described["openapi"].startswith("3.1."), described["openapi"]
    validate(described)


CHECKS = {
    "prometheus_client: metrics are OpenMetrics": metrics_are_open_metrics,
    "openapi-spec-validator: the API is described": the_api_is_described,
}
