"""The layout of the buffer, and the start of training."""

import numpy as np
import pytest

from nbrnn.network.layout import CACHE_LINE, NAMES, Layout, generator, shapes


@pytest.mark.parametrize(
    ("dtype", "m", "M"),
    [
        *(("float32", m, M) for m, M in [(1, 16), (16, 16), (17, 32), (100, 112)]),
        *(("float64", m, M) for m, M in [(1, 8), (8, 8), (9, 16), (100, 104)]),
    ],
)
def test_views_cover_the_buffer_once_and_start_on_cache_lines(dtype, m, M):
    layout = Layout(m, 7, np.dtype(dtype))
    parameters = layout.parameters()
    flat, (layer,), *readout = parameters
    views = *layer, *readout
    flat[:] = np.arange(flat.size)
    assert np.array_equal(np.concatenate([view.ravel() for view in views]), flat)
    assert layout.M == M
    for view in views:
        assert view.ctypes.data % CACHE_LINE == 0
        assert view.flags.c_contiguous


def test_the_equations_shapes_and_back():
    layout = Layout(5, 3, np.dtype(np.float64))
    rng = np.random.default_rng(0)
    expected = {"W": (5, 5), "U": (5, 3), "V": (3, 5), "b": (5,), "c": (3,)}
    assert shapes(5, 3) == expected
    arrays = {name: rng.random(shape) for name, shape in expected.items()}
    packed = layout.pack(arrays)
    for name, array in layout.named(packed).items():
        assert np.array_equal(array, arrays[name])
    assert np.array_equal(packed.layers[0].U[0, 2, :5], arrays["U"][:, 2])


def test_the_start_is_normal_with_the_given_deviation_and_the_same_in_both_dtypes():
    named, rounded = (
        layout.named(layout.initial(generator(3, "start"), 0.1))
        for layout in (Layout(100, 80, np.dtype(dtype)) for dtype in ("float64", "float32"))
    )
    for name in "WUV":
        assert named[name].std() == pytest.approx(0.1, rel=0.05)
        assert abs(named[name].mean()) < 0.005
    assert not named["b"].any()
    assert not named["c"].any()
    for name in NAMES:
        assert np.array_equal(named[name].astype(np.float32), rounded[name])


def test_streams_of_a_seed_differ_and_repeat():
    draws = {
        (s, name): generator(s, name).random() for s in (0, 1) for name in ("start", "samples", "text")
    }
    assert len(set(draws.values())) == 6
    assert generator(1, "text").random() == draws[1, "text"]
