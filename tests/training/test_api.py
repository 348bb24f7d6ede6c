"""The verbs of the package."""

from __future__ import annotations

import gc
import weakref

from momok.training import api
from tests.training.small_training import train_small


def test_the_trained_model_is_let_go_before_the_chosen_one_is_tested(tmp_path, monkeypatch) -> None:
    trained, alive = [], []
    build, evaluate = api.build_model, api.evaluate_run

    def build_and_note(*arguments):  # type: ignore[no-untyped-def]
        model = build(*arguments)
        trained.append(weakref.ref(model))
        return model

    def note_and_evaluate(*arguments, **settings):  # type: ignore[no-untyped-def]
        gc.collect()
        alive.append(trained[0]() is not None)
        return evaluate(*arguments, **settings)

    monkeypatch.setattr(api, "build_model", build_and_note)
    monkeypatch.setattr(api, "evaluate_run", note_and_evaluate)
    train_small(tmp_path / "run", training__epochs=2)
    assert alive == [False, False]  # valid, then test
