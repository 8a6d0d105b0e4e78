"""Model files of every layout there has been are still read, and answer as they did when they were written."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

import jglm

FOLDER = Path(__file__).parent / "references" / "modelfiles"
spec = importlib.util.spec_from_file_location("make_modelfiles", FOLDER / "make.py")
make = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make)
WRITTEN = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
CASES = [(layout, case) for layout, cases in WRITTEN.items() for case in cases]


@pytest.mark.parametrize(("layout", "case"), CASES)
def test_an_old_file_answers_as_it_did(layout, case):
    fit = jglm.load(FOLDER / f"{layout}.{case}.jglm")
    said = make.answers(fit)
    for question, answer in WRITTEN[layout][case].items():
        if question == "classes":
            assert list(said[question]) == list(answer)
        elif np.all(np.isfinite(np.asarray(answer, float))):
            # Figures of the densities found by quadrature, and the steps that found them, have changed in late digits.
            np.testing.assert_allclose(said[question], answer, rtol=1e-6, atol=1e-9, err_msg=question)


def test_every_layout_and_the_current_one_are_there():
    assert sorted(WRITTEN) == ["1a", "1b", "1c"]
    assert {case for _, case in CASES} == set(make.fits())
