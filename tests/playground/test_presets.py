"""Presets: each shows what its text says."""

import numpy as np
import pytest

from optviz.playground import presets, service, settings, wire


@pytest.mark.parametrize("preset", presets.PRESETS, ids=lambda preset: preset.name)
def test_a_preset_makes_its_point(preset):
    message = wire.unpack(service.answer("paths", {"settings": preset.settings}))
    paths, ends = message.header["paths"], [message.arrays[f"path{i}"][-1] for i in range(len(message.arrays))]
    assert preset.claims
    for claim in preset.claims:
        assert claim.holds(paths, ends), (claim, paths[claim.path], ends[claim.path])


def test_the_names_differ_and_the_first_is_what_is_seen_first():
    assert len({preset.name for preset in presets.PRESETS}) == len(presets.PRESETS)
    assert settings.from_json({}) == settings.from_json(presets.DEFAULT.settings)


def test_a_claim_can_fail():
    paths = [
        {"status": "converged", "metrics": {"final_loss": 2.0}},
        {"status": "diverged", "metrics": {"final_loss": None}},
    ]
    ends = [np.array([1.0, 2.0]), np.array([3.0, 4.0])]
    holds = {
        presets.Claim(0, "final_loss", at_most=1.0): False,
        presets.Claim(0, "final_loss", at_least=1.0): True,
        presets.Claim(1, "final_loss", at_most=5.0): False,
        presets.Claim(0, "final_loss", at_most=0.5, of=1): True,
        presets.Claim(1, "x", at_least=3.5): False,
        presets.Claim(1, status="converged"): False,
        presets.Claim(1, status="diverged"): True,
    }
    for claim, wanted in holds.items():
        assert claim.holds(paths, ends) == wanted, claim
