"""Programs with the faults of published solutions: what is wrong comes first."""

import numpy as np
import published_faults
import pytest
import student
from scipy.io import savemat

from nbrnn.checks.check import check


@pytest.mark.parametrize("fault", published_faults.SEEN)
def test_what_was_seen(fault, tmp_path):
    theta, codes, h0 = student.exercise(8, 11, 12, seed=4)
    edition, cause, _ = published_faults.SEEN[fault]
    if edition == 2025:
        path = tmp_path / "answers.npz"
        np.savez(path, **published_faults.program_of_2025(theta, codes[0], h0, fault))
        report = check(path, preset="dd2424-2025", after=2)
    else:
        path = tmp_path / "answers.mat"
        savemat(path, published_faults.program_of_2017(theta, codes[0], h0, fault))
        report = check(path, preset="dd2424-2017", clip=0.5)
    assert report.is_right == (cause is None)
    if cause:
        assert report.causes[0] == (None if cause == published_faults.UNNAMED else cause)
        assert not [name for name in report.causes[1:] if name]  # what follows is no other fault
        assert all(finding.follows for finding in report.findings[1:])


@pytest.mark.parametrize("fault", published_faults.SEEN)
def test_the_first_exercise_that_fails(fault):
    edition, _, rung = published_faults.SEEN[fault]
    window, step = published_faults.functions(fault)
    settings = {"clip": 0.5} if edition == 2017 else {}
    report = check(window, step=step, preset=f"dd2424-{edition}", **settings)
    assert [finding.rung for finding in report.findings[:1]] == ([rung] if rung else [])


@pytest.mark.parametrize("fault", published_faults.SMOOTH)
def test_smooth_losses_that_were_seen(fault):
    cause = published_faults.SMOOTH[fault]
    report = check(published_faults.training(fault), seq_length=25)
    assert report.causes == ([cause] if cause else [])
