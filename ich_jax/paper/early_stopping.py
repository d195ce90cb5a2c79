"""Early stopping on the validation loss, as a pure state machine (paper: Hiperparametre Seçimleri ve Ayarlar).

The paper stops "when the validation loss rises for three epochs in a row" and restores the best epoch. That can be
read in two ways, and its own run (lowest at epoch 6, stopped at 9) fits both:

- `no-improvement`, as Keras does it: `patience` epochs in a row that do not beat the best. The default.
- `rises`, to the letter: `patience` epochs in a row, each above the one before it.
"""

import math
from typing import NamedTuple

RULES = ("no-improvement", "rises")


class EarlyStopping(NamedTuple):
    """The state after some epochs; `after` gives the next. Epochs count from 1; 0 stands for none.

    >>> state = EarlyStopping(patience=2)
    >>> for loss in (0.5, 0.4, 0.45, 0.42):
    ...     state = state.after(loss)
    >>> state.best_epoch, state.should_stop
    (2, True)
    """

    patience: int
    rule: str = "no-improvement"
    epoch: int = 0
    best_epoch: int = 0
    best_loss: float = math.inf
    last_loss: float = math.inf
    bad_epochs: int = 0

    def after(self, validation_loss: float) -> "EarlyStopping":
        """The state after one more epoch with this validation loss. NaN improves nothing and counts as bad.

        Raises ValueError if `rule` is none of RULES.
        """
        if self.rule not in RULES:
            raise ValueError(f"the rule must be one of {', '.join(RULES)}, not {self.rule!r}")
        epoch = self.epoch + 1
        improved = validation_loss < self.best_loss
        good = improved if self.rule == "no-improvement" else validation_loss <= self.last_loss
        return self._replace(
            epoch=epoch,
            best_epoch=epoch if improved else self.best_epoch,
            best_loss=validation_loss if improved else self.best_loss,
            last_loss=validation_loss,
            bad_epochs=0 if good else self.bad_epochs + 1,
        )

    @property
    def should_stop(self) -> bool:
        return self.bad_epochs >= self.patience
