from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from wsreg.errors import InputError
from wsreg.radiographs.intensity import centre_contrast, decide_meaning, to_attenuation

Expose = Callable[..., NDArray[Any]]


def everywhere(image: torch.Tensor) -> torch.Tensor:
    return torch.ones_like(image, dtype=torch.bool)


def decide(pixels: NDArray[Any], **kwargs: Any) -> tuple[str, str]:
    image = torch.from_numpy(pixels.astype(np.float32))
    settings: dict[str, Any] = {"option": "auto", "header": None, "header_reason": "", **kwargs}
    meaning, notes = decide_meaning(image, everywhere(image), **settings)
    return meaning, " ".join(notes)


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


def test_centre_contrast_by_hand() -> None:
    image = np.zeros((40, 40), dtype=np.float32)
    image[8:-8, 8:-8] = 1.0
    whole = np.ones((40, 40), dtype=bool)
    assert centre_contrast(image, whole) == pytest.approx(1.0)
    assert centre_contrast(-image, whole) == pytest.approx(-1.0)
    assert centre_contrast(np.zeros_like(image), whole) == 0.0


@pytest.mark.parametrize("crop", [0, 40])
def test_polarity_of_each_way_to_save_an_xray(
    trunk: NDArray[Any], expose: Expose, crop: int
) -> None:
    counts = expose(trunk)[crop : 256 - crop, crop : 256 - crop]
    logarithm = np.log(counts + 1)
    low, high = np.percentile(logarithm, [0.5, 99.5])
    display = np.round(255 * np.clip((logarithm - low) / (high - low), 0, 1))
    for pixels, expected in {
        "counts": (counts, "transmission"),
        "16 bits": (np.round(counts / counts.max() * 65535), "transmission"),
        "bright air": (display, "transmission"),
        "standardised": (logarithm - logarithm.mean(), "log transmission"),
        "bright bone": (255 - display, "attenuation"),
        "line integral": (logarithm.max() - logarithm, "attenuation"),
    }.values():
        assert decide(pixels)[0] == expected


def test_doubt_is_said(trunk: NDArray[Any]) -> None:
    rng = np.random.default_rng(0)
    _, doubtful = decide(rng.normal(5, 1, (128, 128)))
    assert "but hardly" in doubtful
    _, sure = decide(trunk)
    assert "but hardly" not in sure


def test_order_of_sources(trunk: NDArray[Any]) -> None:
    asked = decide(trunk, option="transmission", header="attenuation", header_reason="LOG")
    assert asked == ("transmission", "Pixel values are transmission, as asked.")
    meaning, notes = decide(trunk, header="attenuation", header_reason="LOG with sign -1")
    assert meaning == "attenuation"
    assert notes == "Pixel values are attenuation: LOG with sign -1."
    meaning, notes = decide(trunk, header="transmission", header_reason="LIN")
    assert meaning == "transmission"
    assert "opposite polarity" in notes
    assert "--intensity attenuation" in notes
