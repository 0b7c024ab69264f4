"""nginx and haproxy around a relay: in front of it, as an operator may put them, and as an org's endpoint."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from tests.support.servers.process import ServerProcess, answers, free_port, short_folder
from tests.support.servers.tools import find_program, missing

FrontName = Literal["nginx", "haproxy"]

_NGINX: Final = """\
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log stderr warn;
events {{ worker_connections 512; }}
http {{
  log_format in '$request_method $request_uri $upstream_status';
  access_log {folder}/requests in;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  large_client_header_buffers 4 128k;
  upstream relay {{ server 127.0.0.1:{relay}; keepalive 4; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://relay;
      proxy_http_version 1.1;
      proxy_request_buffering off;
      proxy_buffering off;
      proxy_next_upstream off;
      proxy_set_header Host 10.0.2.2:1000;
      proxy_set_header Connection "";
    }}
  }}
}}
"""
# A common mistake: `$uri` is the decoded path, so the provider is asked for another one than nginx was.
_DECODING_ENDPOINT: Final = """\
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log stderr warn;
events {{ worker_connections 512; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  upstream provider {{ server 127.0.0.1:{provider}; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://provider$uri$is_args$args; }}
  }}
}}
"""
_HAPROXY: Final = """\
global
  log stdout format raw local0
  maxconn 512
defaults
  mode http
  log global
  log-format "in %HM %HU %ST"
  timeout connect 5s
  timeout client 10s
  timeout server 10s
  timeout http-request 5s
frontend boxes
  bind 127.0.0.1:{port}
  http-request set-header Host 10.0.2.2:1000
  default_backend relay
backend relay
  http-reuse always
  server relay 127.0.0.1:{relay} pool-max-conn 4
"""


@dataclass(slots=True)
class Front:
    """A running proxy.

    Attributes:
        port: the proxy's port on 127.0.0.1.
    """

    name: FrontName
    port: int
    _process: ServerProcess

    def requests_in(self) -> list[str]:
        """Give `METHOD target status` of every request read by the proxy."""
        if self.name == "nginx":
            return (self._process.folder / "requests").read_text(errors="replace").splitlines()
        lines = self._process.log.splitlines()
        return [line.removeprefix("in ") for line in lines if line.startswith("in ")]


@contextmanager
def front(name: FrontName, relay_port: int) -> Iterator[Front]:
    """Run a proxy in front of the relay on `relay_port`; skips the test where the proxy is not installed."""
    program = _program(name)
    process, port = ServerProcess(short_folder(name)), free_port()
    config = process.folder / "config"
    text = _NGINX if name == "nginx" else _HAPROXY
    config.write_text(text.format(folder=process.folder, port=port, relay=relay_port))
    command = [program, "-c", config] if name == "nginx" else [program, "-db", "-f", config]
    try:
        process.start(command, lambda: answers(port))
        yield Front(name, port, process)
    finally:
        process.close()


@contextmanager
def decoding_endpoint(provider_port: int) -> Iterator[int]:
    """Run an nginx which hands the provider the decoded path; gives the port to use as an endpoint's."""
    program = _program("nginx")
    process, port = ServerProcess(short_folder("endpoint")), free_port()
    config = process.folder / "config"
    config.write_text(_DECODING_ENDPOINT.format(folder=process.folder, port=port, provider=provider_port))
    try:
        process.start([program, "-c", config], lambda: answers(port))
        yield port
    finally:
        process.close()


def _program(name: FrontName) -> Path:
    """Give the proxy's program; the test is skipped where the proxy is not installed."""
    return find_program(name, beside=[Path("/usr/sbin"), Path("/usr/local/sbin")]) or missing(name)
