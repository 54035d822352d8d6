"""A stand-in for Grafana's server, for machines that have none: it starts only by what the real one would start by.

It reads arguments, environment and provisioning files by the rules of Grafana's own sources: `conf/defaults.ini`, then
the file of `--config`, then `GF_<SECTION>_<KEY>` for keys that the defaults have; `$NAME` and `$__file{path}` in the
files' values. It asks the data source for a row, and serves `/api/health` and, to the admin, what it has read.
"""

import base64
import configparser
import json
import os
import re
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg
import yaml

DEFAULTS = """
app_mode = production
[paths]
data = data
logs = data/log
plugins = data/plugins
provisioning = conf/provisioning
[server]
protocol = http
http_addr =
http_port = 3000
root_url = http://localhost:3000/
[security]
admin_user = admin
admin_password = admin
disable_gravatar = false
cookie_secure = false
[users]
allow_sign_up = true
[analytics]
reporting_enabled = true
check_for_updates = true
check_for_plugin_updates = true
feedback_links_enabled = true
[news]
news_feed_enabled = true
[snapshots]
external_enabled = true
[metrics]
enabled = true
[plugins]
preinstall_disabled = false
plugin_admin_enabled = true
public_key_retrieval_disabled = false
[dashboards]
default_home_dashboard_path =
[log]
mode = console file
"""
"""The keys of Grafana's own file that the stack sets, with their defaults."""


def install(home: Path) -> Path:
    """An archive's folder with this as its program; returns the program."""
    (home / "conf").mkdir(parents=True)
    (home / "conf" / "defaults.ini").write_text(DEFAULTS)
    program = home / "bin" / "grafana"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{__file__}" "$@"\n')
    program.chmod(0o755)
    return program


def configuration(home: Path, own: Path) -> dict[str, dict[str, str]]:
    """By section and key."""
    parser = configparser.RawConfigParser(default_section="-")
    for path in (home / "conf" / "defaults.ini", own):
        parser.read_string(f"[main]\n{path.read_text()}")
    return {
        section: {
            key: os.environ.get(f"GF_{section}_{key}".upper().replace(".", "_")) or value
            for key, value in parser.items(section)
        }
        for section in parser.sections()
    }


def interpolated(value: Any) -> Any:
    """A value of a provisioning file, files and variables put in."""
    if isinstance(value, dict):
        return {key: interpolated(each) for key, each in value.items()}
    if isinstance(value, list):
        return [interpolated(each) for each in value]
    if not isinstance(value, str):
        return value
    with_files = re.sub(r"\$__file\{([^}]+)\}", lambda match: Path(match[1]).read_text().strip(), value)
    return re.sub(r"\$\{?(\w+)\}?", lambda match: os.environ.get(match[1], ""), with_files)


def provisioned(folder: Path) -> dict[str, Any]:
    """What the files say, as the server starts with it: data sources that answer, dashboards, rules, contact points."""
    read = {
        kind: [yaml.safe_load(path.read_text()) for path in sorted((folder / kind).glob("*.yaml"))]
        for kind in ("datasources", "dashboards", "alerting")
    }
    sources = [interpolated(each) for content in read["datasources"] for each in content["datasources"]]
    users = [ask(source) for source in sources]
    providers = [interpolated(each) for content in read["dashboards"] for each in content["providers"]]
    files = [path for each in providers for path in sorted(Path(each["options"]["path"]).glob("*.json"))]
    contacts = [each for content in read["alerting"] for each in content.get("contactPoints", ())]
    hooks = [interpolated(one["settings"])["url"] for each in contacts for one in each["receivers"]]
    if not all(hooks):
        sys.exit("a contact point has no url")
    # rules are not interpolated: their queries have variables of their own
    rules = [
        one["title"] for content in read["alerting"] for group in content.get("groups", ()) for one in group["rules"]
    ]
    dashboards = [json.loads(path.read_text())["title"] for path in files]
    return {"users": users, "dashboards": dashboards, "rules": rules, "hooks": hooks}


def ask(source: dict[str, Any]) -> str:
    """Who the data source logs in as; ends the program if it cannot."""
    host, port = source["url"].split(":")
    with psycopg.connect(
        host=host,
        port=port,
        user=source["user"],
        password=source["secureJsonData"]["password"],
        dbname=source["jsonData"]["database"],
        sslmode=source["jsonData"]["sslmode"],
    ) as connection:
        row = connection.execute("SELECT current_user, count(*) FROM predictions").fetchone()
    assert row is not None
    return str(row[0])


def main(arguments: list[str]) -> None:
    """`grafana server --homepath=… --config=…`."""
    if arguments[:1] != ["server"]:
        sys.exit(f"no command {arguments[:1]}")
    if "-v" in arguments:
        sys.stdout.write("Version 12.4.0 (commit: stand-in, branch: tests)\n")
        return
    options = dict(argument.removeprefix("--").split("=", 1) for argument in arguments[1:])
    values = configuration(Path(options["homepath"]), Path(options["config"]))
    if (Path(options["homepath"]) / "broken").exists():
        sys.exit("it is broken")
    for name in ("data", "logs", "plugins"):
        Path(values["paths"][name]).mkdir(parents=True, exist_ok=True)
    state = provisioned(Path(values["paths"]["provisioning"])) | {"configuration": values}
    home = values["dashboards"]["default_home_dashboard_path"]
    state["home"] = json.loads(Path(home).read_text())["title"]
    login = f"{values['security']['admin_user']}:{values['security']['admin_password']}"
    basic = f"Basic {base64.b64encode(login.encode()).decode()}"

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            answers = {"/api/health": (200, {"database": "ok", "version": "12.4.0"})}
            if self.headers["Authorization"] == basic:
                answers["/api/state"] = (200, state | {"asked_as": self.headers["Host"]})
            status, body = answers.get(self.path, (401, {"message": "Unauthorized"}))
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    server = ThreadingHTTPServer((values["server"]["http_addr"], int(values["server"]["http_port"])), Handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
