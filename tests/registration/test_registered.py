"""Two X-rays of one pose, a known way apart: depth is seen as well as everything else."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import exp_so3, perturb, rigid, transform_points, twist_between
from wsreg.radiographs.radiograph import Radiograph
from wsreg.registration.bodies import Body
from wsreg.registration.config import RegistrationConfig
from wsreg.registration.problem import Problem
from wsreg.registration.register import registered
from wsreg.registration.result import RegistrationResult
from wsreg.registration.views import View
from wsreg.rendering.prepared import PreparedCt
from wsreg.simulation.joseph import project_attenuation
from wsreg.volumes.volume import Volume


def noisy(volume: Volume, camera: Camera, pose: Tensor, seed: int) -> Radiograph:
    image = project_attenuation(volume, camera, pose)
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(seed))
    return Radiograph(
        image=image + 0.05 * noise, mask=torch.ones_like(image, dtype=torch.bool), camera=camera
    )


def test_two_views_see_the_depth_that_one_hardly_sees(
    phantom: Volume, camera: Camera, truth: Tensor, quick: RegistrationConfig
) -> None:
    pivot = transform_points(truth, phantom.centre_mm[None])[0]
    turn = exp_so3(torch.tensor([0.0, math.radians(70.0), 0.0], dtype=torch.float64))
    second_from_rig = rigid(turn, pivot - turn @ pivot)
    cameras = (torch.eye(4, dtype=torch.float64), second_from_rig)
    views = tuple(
        View(
            radiograph=noisy(phantom, camera, camera_from_rig @ truth, seed),
            camera=camera,
            camera_from_rig=camera_from_rig,
        )
        for seed, camera_from_rig in enumerate(cameras)
    )
    step = torch.tensor([0.06, 0.05, -0.05, 6.0, -6.0, 20.0], dtype=torch.float64)
    settings = dataclasses.replace(quick, levels=quick.levels[:2])
    problem = Problem(
        views=views,
        bodies=(Body(name="ct", pivot_mm=phantom.centre_mm),),
        ct=PreparedCt(volume=phantom),
        start=perturb(truth, step, phantom.centre_mm)[None],
        init="pose",
        view="PA",
        settings=settings,
        backend="numba",
    )

    def errors(problem: Problem) -> tuple[RegistrationResult, Tensor]:
        found = registered(problem, lambda stage, done, total: None)
        first = problem.views[0].camera_from_rig @ truth
        return found, twist_between(first, found.camera_from_ct, phantom.centre_mm).abs()

    both, error = errors(problem)
    one, error_of_one = errors(dataclasses.replace(problem, views=views[:1]))
    assert both.verdict.status == "pass", both.verdict
    assert float(error[:3].max()) < 3e-3
    assert float(error[3:].max()) < 0.3
    assert float(error[5]) < 0.5 * float(error_of_one[5])
    assert float(both.standard_deviation[5]) < 0.5 * float(one.standard_deviation[5])
    # Seen from the other camera first, the pose is that of this camera.
    turned, error = errors(dataclasses.replace(problem, views=views[::-1]))
    torch.testing.assert_close(
        turned.camera_from_ct, second_from_rig @ both.camera_from_ct, atol=0.5, rtol=1e-3
    )
    assert float(error[3:].max()) < 0.3
    assert turned.camera is camera
