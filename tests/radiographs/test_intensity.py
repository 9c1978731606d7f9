from __future__ import annotations

from typing import Any

import pytest
import torch

from wsreg.errors import InputError
from wsreg.radiographs.intensity import decide_meaning, to_attenuation
from wsreg.radiographs.polarity import Polarity


def everywhere(image: torch.Tensor) -> torch.Tensor:
    return torch.ones_like(image, dtype=torch.bool)


AIR, BONE, OPEN = Polarity(log_odds=-9.0), Polarity(log_odds=9.0), Polarity(log_odds=-0.1)
"""Air or bone is surely bright, or air is, but hardly."""


def decide(look: Polarity, low: float = 0.0, **kwargs: Any) -> tuple[str, str | None, str]:
    image = torch.linspace(low, 7.0, 100).reshape(10, 10)
    settings: dict[str, Any] = {"option": "auto", **kwargs}
    meaning, other, notes = decide_meaning(image, everywhere(image), look=look, **settings)
    return meaning, other, " ".join(notes)


def test_transmission_by_hand() -> None:
    integral = torch.tensor([[0.0, 0.0, 1.0], [2.0, 3.0, 0.5]])
    pixels = 4000 * torch.exp(-integral)
    torch.testing.assert_close(
        to_attenuation(pixels, everywhere(pixels), "transmission"), integral, atol=2e-3, rtol=0
    )
    shifted = torch.log(pixels)
    torch.testing.assert_close(
        to_attenuation(shifted, everywhere(shifted), "log transmission"),
        integral,
        atol=2e-3,
        rtol=0,
    )


def test_attenuation_is_kept() -> None:
    pixels = torch.tensor([[-3.0, 7.0]])
    assert to_attenuation(pixels, everywhere(pixels), "attenuation").equal(pixels)


def test_zeros_hot_pixels_and_saturation_stay_finite() -> None:
    pixels = torch.full((100, 100), 255.0)
    pixels[:50] = 100.0
    pixels[0, :10] = 0.0
    pixels[0, 10:20] = 1.0
    pixels[99, 99] = 1e9
    attenuation = to_attenuation(pixels, everywhere(pixels), "transmission")
    assert attenuation.min() == 0
    assert attenuation[99, 99] == 0
    assert attenuation[75, 50] == 0
    torch.testing.assert_close(attenuation[25, 50], torch.tensor(2.55).log())
    torch.testing.assert_close(attenuation[0, 5], torch.tensor(2 * 255.0).log())


def test_direct_exposure_is_sought_in_the_field_only() -> None:
    pixels = torch.full((50, 50), 100.0)
    pixels[:, 40:] = 1000.0
    field = everywhere(pixels)
    field[:, 40:] = False
    assert to_attenuation(pixels, field, "transmission")[0, 0] == 0


def test_transmission_needs_positive_values() -> None:
    pixels = torch.full((5, 5), -1.0)
    with pytest.raises(InputError, match="positive pixel values"):
        to_attenuation(pixels, everywhere(pixels), "transmission")


def test_image_decides_without_a_header() -> None:
    """The opposite is kept even so, for where nothing fits."""
    assert decide(AIR)[:2] == ("transmission", "attenuation")
    assert decide(AIR, low=-2.0)[:2] == ("log transmission", "attenuation")
    meaning, other, note = decide(BONE)
    assert (meaning, other) == ("attenuation", "transmission")
    assert "hardly" not in note
    meaning, other, note = decide(OPEN)
    assert (meaning, other) == ("transmission", "attenuation")
    assert "but hardly; registration tries the opposite too" in note


def test_what_is_asked_for_is_never_doubted() -> None:
    asked = decide(BONE, option="transmission", header="attenuation", header_reason="LOG")
    assert asked == ("transmission", None, "Pixel values are transmission, as asked.")


@pytest.mark.parametrize("look", [BONE, OPEN])
def test_header_decides_unless_the_image_surely_contradicts(look: Polarity) -> None:
    meaning, other, note = decide(look, header="attenuation", header_reason="LOG with sign -1")
    assert (meaning, other) == ("attenuation", None)
    assert note == "Pixel values are attenuation: LOG with sign -1."


def test_header_against_the_image_leaves_both_open() -> None:
    meaning, other, note = decide(BONE, header="log transmission", header_reason="LOG")
    assert (meaning, other) == ("attenuation", "log transmission")
    assert "Warning: the header says that pixel values are log transmission (LOG), but" in note
    assert "bone looks bright" in note
    assert "--intensity" in note
    assert decide(AIR, header="attenuation", header_reason="LOG")[:2] == (
        "transmission",
        "attenuation",
    )


def test_header_that_contradicts_itself_leaves_both_open() -> None:
    said: dict[str, Any] = {
        "header": "attenuation", "header_reason": "IDENTITY against LIN", "header_disputed": True,
    }  # fmt: skip
    for look, expected in (
        (OPEN, ("attenuation", "transmission")),
        (BONE, ("attenuation", "transmission")),
        (AIR, ("transmission", "attenuation")),
    ):
        meaning, other, note = decide(look, **said)
        assert (meaning, other) == expected
        assert "its tags contradict each other" in note
