"""A real OpenID provider behind a private authority, at a name known only to a company's proxy."""

from __future__ import annotations

import json
import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import parse_qsl, urljoin, urlsplit

import httpx
import trustme

from tests.support.servers.process import ServerProcess, answers, free_port, short_folder
from tests.support.servers.tools import REPOSITORY, find_program, missing

HOST: Final = "login.company.test"
PORTAL: Final = "https://portal.company.test"
CALLBACK: Final = f"{PORTAL}/sign-in/callback"
CLIENT_ID: Final = "portal"
MAX_STEPS: Final = 16
"""Pages and redirects from the issuer's front door to the way back; the provider takes eight."""
_SCRIPT: Final = REPOSITORY / "tests/portal/oidc_provider.mjs"


@dataclass(frozen=True, slots=True)
class ProviderOptions:
    """How the provider differs from an ordinary one."""

    secret: str = "client-secret-of-tests"
    auth_method: str = "client_secret_basic"
    verified_as_text: bool = False


class OpenIdProvider:
    """Inside `with`, the provider serves TLS at `issuer`; `ca_file` has its authority."""

    def __init__(self, folder: Path, options: ProviderOptions) -> None:
        self._folder, self._options = folder, options
        self._port = free_port()
        self._process = ServerProcess(short_folder("op"))
        self.issuer = f"https://{HOST}:{self._port}"
        self.ca_file = folder / "company-ca.pem"

    def __enter__(self) -> Self:
        node = find_program("node") or missing("Node")
        if not (_SCRIPT.parent / "node_modules/oidc-provider/package.json").exists():
            missing("oidc-provider (make test-tools)")
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.ca_file))
        certificate = authority.issue_cert(HOST)
        key, cert = self._folder / "issuer-key.pem", self._folder / "issuer-cert.pem"
        certificate.private_key_pem.write_to_path(str(key))
        certificate.cert_chain_pems[0].write_to_path(str(cert))
        more = {
            "issuer": self.issuer,
            "key": str(key),
            "cert": str(cert),
            "authMethod": self._options.auth_method,
            "verifiedAsText": self._options.verified_as_text,
            "signedOutUri": f"{PORTAL}/sign-in",
        }
        arguments = [node, _SCRIPT, self._port, CALLBACK, self._options.secret, json.dumps(more)]
        self._process.start(arguments, lambda: answers(self._port))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.close()

    def browser(self, proxy: str) -> httpx.AsyncClient:
        """A person's browser in the company: goes by the proxy, and trusts the authority."""
        tls = ssl.create_default_context(cafile=self.ca_file)
        return httpx.AsyncClient(proxy=proxy, verify=tls, trust_env=False, timeout=20)


async def walk(browser: httpx.AsyncClient, url: str, login: str) -> dict[str, str]:
    """Sign in as `login` and consent, as a person does page by page; give the query of the way back."""
    answer = await browser.get(url)
    for _ in range(MAX_STEPS):
        if answer.is_redirect:
            target = urljoin(str(answer.url), answer.headers["location"])
            if target.startswith(CALLBACK):
                return dict(parse_qsl(urlsplit(target).query))
            answer = await browser.get(target)
            continue
        assert answer.status_code == httpx.codes.OK, answer.text
        action = re.search(r'action="([^"]+)"', answer.text)
        assert action, answer.text
        hidden = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', answer.text)
        form = {**dict(hidden), "login": login, "password": "anything"}
        answer = await browser.post(urljoin(str(answer.url), action[1]), data=form)
    raise AssertionError("the issuer led nowhere")
