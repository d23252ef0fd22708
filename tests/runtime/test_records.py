from __future__ import annotations

import sys

import numpy as np
import pytest

from runtime import Certificate, InputResult, RunResult, certificate_records, certificates_table

RESULTS = (
    InputResult(4, 1, 1, 0.9, {"1": 0.25, "2": 0.125}, (2, 95), 100, 3, 0.5, p_upper=0.08),
    InputResult(9, 0, -1, 0.3, {"1": 0.0, "2": 0.0}, (60, 39), 99, 0, 0.25),
)
RUN = RunResult(
    "uniform-0.5", "uniform", "uniform", {}, 0.5, 0.8, 64, 10, 100, 0.001, 0, 2, None, RESULTS, True
)


def test_records_hold_the_numbers_of_the_results() -> None:
    records = RUN.to_records()
    assert isinstance(records, np.recarray) and len(records) == 2
    assert records.idx.tolist() == [4, 9] and records.predict.tolist() == [1, -1]
    assert records.correct.tolist() == [True, False] and records.n.tolist() == [100, 99]
    assert records.radius_l1.tolist() == [0.25, 0.0]
    assert np.isnan(records.radius_linf).all() and np.isnan(records.p_upper[1])
    assert (records.p_lower[0], records.p_upper[0], records.failed[0]) == (0.9, 0.08, 3)


def test_certificates_take_their_labels_from_the_caller() -> None:
    certificates = [Certificate(1, 0.25, {"2": 0.25}, 0.9, (2, 98), 100, 0)] * 2
    records = certificate_records(certificates, labels=[1, 0])
    assert records.correct.tolist() == [True, False] and records.idx.tolist() == [0, 1]
    assert np.isnan(records.seconds).all()
    unknown = certificate_records(certificates)
    assert unknown.label.tolist() == [-1, -1] and not unknown.correct.any()
    with pytest.raises(ValueError, match="one label for each of 2 certificates"):
        certificate_records(certificates, labels=[1])
    assert len(certificate_records([])) == 0


def test_an_abstention_is_never_correct() -> None:
    abstained = Certificate(-1, 0.0, {"2": 0.0}, 0.3, (50, 50), 100, 0)
    assert not certificate_records([abstained], labels=[-1]).correct.any()


def test_a_pandas_table_has_one_row_an_input() -> None:
    pytest.importorskip("pandas", reason="pandas is not installed")
    frame = RUN.to_pandas()
    assert list(frame["run"]) == ["uniform-0.5"] * 2 and list(frame["sigma"]) == [0.5, 0.5]
    assert list(frame["counts"]) == [(2, 95), (60, 39)]
    assert frame["radius_l1"].tolist() == [0.25, 0.0] and frame["n"].dtype == np.int64
    assert len(certificates_table([])) == 0


def test_a_missing_pandas_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"pip install 'smoothing-radii\[pandas\]'"):
        RUN.to_pandas()
