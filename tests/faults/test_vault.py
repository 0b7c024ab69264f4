"""Vault gone in several ways: loaded keys serve on, switches work, new keys wait until Vault is back."""

from __future__ import annotations

import asyncio

import pytest

from tests.faults.form import FULL_ONLY, MARKS, Form
from tests.faults.outages import Outage, audit_blocked, vault_sealed, vault_silent, vault_stopped
from tests.faults.site import Site
from tests.faults.trial import Trial, on_trial

pytestmark = MARKS
BACK_SECONDS = 60.0
ROLES = ("aigw-control-plane", "aigw-data-plane")
LOGINS = "auth/approle/login"
OUTAGES = {
    "sealed": (vault_sealed, "sealed, then unsealed"),
    "stopped": (vault_stopped, "killed, then started and unsealed"),
    "silent": (vault_silent, "connections stay, no answer"),
    "audit blocked": (audit_blocked, "its only audit device takes nothing"),
}


@pytest.mark.parametrize(
    "name",
    ["sealed", "silent", *(pytest.param(name, marks=FULL_ONLY) for name in ("stopped", "audit blocked"))],
)
async def test_without_vault_loaded_keys_serve_and_switches_work(site: Site, form: Form, name: str) -> None:
    outage, done = OUTAGES[name]
    await refuse_keys_during(outage, site, form, f"Vault {name}", done)


async def refuse_keys_during(outage: Outage, site: Site, form: Form, fault: str, done: str) -> None:
    async with on_trial(
        site, fault, f"{done}, for {form.down_seconds:g} s and more; switches meanwhile"
    ) as trial:
        on = trial.on
        await trial.rotate(on[0])
        async with outage(site):
            for org in on[:3]:
                await trial.toggle(org)
            refused = await trial.try_to_rotate(on[3])
            assert refused.status_code == 503, refused.text
            assert "Nothing was changed" in refused.text
            for org in on[:3]:
                await trial.toggle(org, via=1)
            await asyncio.sleep(form.down_seconds)
        await taken_again(trial, on[4])
        await trial.rotate(on[3])


async def taken_again(trial: Trial, org: str) -> None:
    """Wait until both control planes take a new key, after their backing off."""
    async with asyncio.timeout(BACK_SECONDS):
        for via in (0, 1):
            while not (await trial.try_to_rotate(org, via)).is_success:  # noqa: ASYNC110  # Vault is elsewhere
                await asyncio.sleep(0.2)


async def test_a_revoked_token_is_replaced_without_a_failure(site: Site) -> None:
    async with on_trial(site, "Vault tokens revoked", "every token of both planes revoked, twice") as trial:
        on = trial.on
        for number in range(2):
            site.backends.vault.root().sys.revoke_prefix(LOGINS)
            await trial.rotate(on[number], via=number)


@FULL_ONLY
async def test_tokens_of_a_short_life_are_renewed_and_replaced(site: Site, form: Form) -> None:
    ttl = form.token_ttl_seconds
    done = f"TTL {ttl} s, longest life {2 * ttl} s; a new key every {ttl / 2:g} s for {2.5 * ttl:g} s"
    approle = site.backends.vault.root().auth.approle
    before = {role: approle.read_role(role)["data"] for role in ROLES}
    async with on_trial(site, "Vault tokens of a short life", done) as trial:
        on = trial.on
        try:
            for role in ROLES:
                approle.create_or_update_approle(role, token_ttl=f"{ttl}s", token_max_ttl=f"{2 * ttl}s")
            site.backends.vault.root().sys.revoke_prefix(LOGINS)
            for number in range(5):
                await trial.rotate(on[number % len(on)], via=number % 2)
                await asyncio.sleep(ttl / 2)
        finally:
            for role, was in before.items():
                lives = {name: f"{was[name]}s" for name in ("token_ttl", "token_max_ttl")}
                approle.create_or_update_approle(role, **lives)
            site.backends.vault.root().sys.revoke_prefix(LOGINS)
