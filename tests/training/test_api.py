"""The verbs of the package."""

from __future__ import annotations

import gc
import weakref

from momok.progress import Reporter
from momok.training import api
from tests.training.small_training import train_small


def test_the_trained_model_is_let_go_before_the_chosen_one_is_tested(tmp_path, monkeypatch) -> None:
    trained, alive = [], []
    build, evaluate = api.build_model, api.evaluate_checkpoint

    def build_and_note(*arguments):  # type: ignore[no-untyped-def]
        model = build(*arguments)
        trained.append(weakref.ref(model))
        return model

    def note_and_evaluate(*arguments, **settings):  # type: ignore[no-untyped-def]
        gc.collect()
        alive.append(trained[0]() is not None)
        return evaluate(*arguments, **settings)

    monkeypatch.setattr(api, "build_model", build_and_note)
    monkeypatch.setattr(api, "evaluate_checkpoint", note_and_evaluate)
    train_small(tmp_path / "run", training__epochs=2)
    assert alive == [False, False]  # valid, then test


def test_the_reporter_hears_of_every_validation_and_of_the_best(tmp_path) -> None:
    heard = []

    class Listener(Reporter):
        def validated(self, epoch, split, mrr, *, best, best_epoch) -> None:
            heard.append((epoch, split, mrr, best, best_epoch))

    run = train_small(tmp_path / "run", reporter=Listener())
    validations = [(r["epoch"], r["metrics"]["answer"]["mrr"]) for r in run.records("valid")]
    assert len(validations) > 1
    expected, best = [], (-1.0, 0)
    for epoch, mrr in validations:
        best = (mrr, epoch) if mrr > best[0] else best
        expected.append((epoch, "valid", mrr, *best))
    assert heard == expected
