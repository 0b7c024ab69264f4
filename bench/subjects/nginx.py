"""nginx as a hand-written gateway: same prefix cut, same headers dropped and set, nothing buffered."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from bench.processes import Program, free_port
from bench.subjects.subject import Running, Subject, Surroundings
from bench.workload import BOX_PREFIX, UPSTREAM_PREFIX

_CONFIG: Final = """\
{user}
daemon off;
worker_processes {workers};
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    keepalive_timeout 75s;
    keepalive_requests 1000000000;
    tcp_nodelay on;
    client_max_body_size 0;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream provider {{
        server 127.0.0.1:{upstream_port};
        keepalive 2048;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096{reuseport};
        location {box_prefix}/ {{
            proxy_pass {scheme}://provider{upstream_prefix}/;
            proxy_http_version 1.1;
            proxy_buffering off;
            proxy_request_buffering off;
            proxy_read_timeout 600s;
            proxy_set_header Host 127.0.0.1:{upstream_port};
            proxy_set_header Connection "";
            proxy_set_header Authorization "Bearer {key}";
            proxy_set_header X-Api-Key "";
            proxy_set_header Api-Key "";
            proxy_set_header Cookie "";
            proxy_set_header OpenAI-Organization "";
            proxy_set_header OpenAI-Project "";
            proxy_hide_header Set-Cookie;
            proxy_hide_header Alt-Svc;
            proxy_hide_header Strict-Transport-Security;
            proxy_pass_header Server;
            proxy_pass_header Date;
            {tls}
        }}
    }}
}}
"""

_TLS: Final = """
            proxy_ssl_verify on;
            proxy_ssl_trusted_certificate {ca_file};
            proxy_ssl_name localhost;
            proxy_ssl_server_name on;
            proxy_ssl_protocols TLSv1.2 TLSv1.3;
            proxy_ssl_session_reuse on;
"""


def _start(around: Surroundings) -> AbstractContextManager[Running]:
    return running_nginx(around)


@contextmanager
def running_nginx(around: Surroundings, workers: int = 1) -> Iterator[Running]:
    """Serve by so many workers, each with a listening socket of its own on the port, as the gateway has."""
    port = free_port()
    config = around.folder / "nginx.conf"
    config.write_text(_config(around, port, workers))
    config.chmod(0o600)
    command = ["nginx", "-c", str(config), "-p", str(around.folder)]
    with Program("nginx", command, core=around.core, log=around.folder / "log") as program:
        program.wait_for_port(port)
        yield Running(port=port, pid=program.pid)


def _config(around: Surroundings, port: int, workers: int) -> str:
    return _CONFIG.format(
        # As root, nginx would give its worker to `nobody`, who cannot reach the scratch folder.
        user="user root;" if os.geteuid() == 0 else "",
        folder=around.folder,
        port=port,
        workers=workers,
        reuseport=" reuseport" if workers > 1 else "",
        upstream_port=around.upstream_port,
        box_prefix=BOX_PREFIX,
        upstream_prefix=UPSTREAM_PREFIX,
        scheme="https" if around.tls else "http",
        key=around.key(),
        tls=_TLS.format(ca_file=around.ca_file) if around.tls else "",
    )


def _missing() -> str | None:
    return None if shutil.which("nginx") else "nginx is not on PATH: there will be no ratios"


def _version() -> str:
    told = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=True).stderr
    return told.strip().removeprefix("nginx version: ").replace("/", " ")


NGINX: Final = Subject("nginx", "nginx", _missing, _start, _version)
