"""A TLS context from changing files: the new files are used, and unusable files change nothing."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

import pytest
import trustme

from shared.tls_files import TlsFiles


def _write(folder: Path, authority: trustme.CA) -> None:
    """Put a new certificate and key in the place of the former ones, as a renewal does."""
    made = authority.issue_cert("127.0.0.1")
    for name, pem in (("chain.pem", made.cert_chain_pems[0]), ("key.pem", made.private_key_pem)):
        pem.write_to_path(folder / f"{name}.new")
        (folder / f"{name}.new").replace(folder / name)


def _files(folder: Path) -> TlsFiles:
    def build() -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "chain.pem", folder / "key.pem")
        return context

    return TlsFiles("SOME_FILES", build, [folder / "chain.pem", folder / "key.pem"])


def test_the_context_stays_while_the_files_stay_and_is_new_after_a_renewal(tmp_path: Path) -> None:
    authority = trustme.CA()
    _write(tmp_path, authority)
    files = _files(tmp_path)
    first = files.context
    files.refresh()
    assert files.context is first
    _write(tmp_path, authority)
    files.refresh()
    assert files.context is not first
    assert not files.is_unusable


def test_unusable_files_leave_the_former_context_and_are_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    authority = trustme.CA()
    _write(tmp_path, authority)
    files = _files(tmp_path)
    first = files.context
    authority.issue_cert("127.0.0.1").private_key_pem.write_to_path(tmp_path / "key.pem")
    with caplog.at_level(logging.ERROR):
        files.refresh()
        files.refresh()
    assert files.context is first
    assert files.is_unusable
    assert [record.getMessage() for record in caplog.records if "SOME_FILES" in record.getMessage()] == [
        caplog.records[0].getMessage()
    ]
    _write(tmp_path, authority)
    files.refresh()
    assert files.context is not first
    assert not files.is_unusable


def test_a_missing_file_is_an_error_at_the_start_and_kept_out_later(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        _files(tmp_path)
    _write(tmp_path, trustme.CA())
    files = _files(tmp_path)
    first = files.context
    (tmp_path / "key.pem").unlink()
    files.refresh()
    assert files.context is first
    assert files.is_unusable


def test_a_link_that_leads_to_other_files_is_a_change(tmp_path: Path) -> None:
    """Kubernetes renews a mounted secret by moving a link."""
    authority = trustme.CA()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        _write(tmp_path / name, authority)
    (tmp_path / "data").symlink_to("one")
    files = _files(tmp_path / "data")
    first = files.context
    (tmp_path / "moved").symlink_to("two")
    (tmp_path / "moved").replace(tmp_path / "data")
    files.refresh()
    assert files.context is not first
