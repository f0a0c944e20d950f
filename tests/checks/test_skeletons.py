"""The course's torch skeleton, in columns and in rows, with and without the mistakes that are near."""

import numpy as np
import pytest
import student

from nbrnn.checks.check import check

pytest.importorskip("torch", reason="needs torch: tox -e interop")
import skeletons

pytestmark = pytest.mark.interop


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("layout", ["column", "row"])
def test_the_skeleton(layout, dtype):
    theta, codes, h0 = student.exercise(6, 9, 14, seed=1, dtype=dtype)
    for fault, cause in {None: None, **skeletons.FAULTS}.items():
        report = check(skeletons.saved(theta, codes[0], h0, layout, fault), loss="mean")
        assert report.causes[:1] == ([cause] if cause else []), fault
        assert all(finding.follows for finding in report.findings[1:])
