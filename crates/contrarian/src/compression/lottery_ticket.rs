use super::{Masks, PruneError};
use burn::module::Module;

/// Iterative pruning with rewind: train, remove some of the remaining weights, start the rest again from their first values.
///
/// ```text
/// W_0 first weights, m = 1;  repeat:  train from m W_0;  m = prune(W_0, trained, m)
/// ```
///
/// It holds the first weights (before any mask, in their own precision) and the masks; the training is the caller's. Start
/// each round with a fresh optimiser, apply the masks after each of its steps (see [`Masks`]).
///
/// Source: Frankle, Carbin 2018, <https://arxiv.org/abs/1803.03635>; with the class-dependent loss, Entezari, Saukh 2019,
/// <https://arxiv.org/abs/1909.10364>, algorithm 1.
#[derive(Debug, Clone)]
pub struct LotteryTicket<M> {
    initial: M,
    masks: Masks,
}

impl<M: Module> LotteryTicket<M> {
    /// Starts from a model not trained yet, with all entries under `masks` that are alive there.
    pub fn new(initial: M, masks: Masks) -> Self {
        Self { initial, masks }
    }

    /// The first weights, without masks.
    pub fn initial(&self) -> &M {
        &self.initial
    }

    /// The masks of this round.
    pub fn masks(&self) -> &Masks {
        &self.masks
    }

    /// The model this round starts from: the first weights where they are alive, 0 elsewhere.
    pub fn rewound(&self) -> M {
        self.masks.apply(self.initial.clone())
    }

    /// Ends a round: `rule` makes the next masks from the first weights and the present masks.
    ///
    /// # Errors
    /// Those of `rule`; the masks are then as before.
    pub fn prune(&mut self, rule: impl FnOnce(&M, &Masks) -> Result<Masks, PruneError>) -> Result<(), PruneError> {
        self.masks = rule(&self.initial, &self.masks)?;
        Ok(())
    }

    /// All rounds: `train` gets the round (from 0), the rewound model and the masks, and returns the trained model; `rule`
    /// gets the first weights, the trained model and the masks. The last round is trained and not pruned.
    ///
    /// # Errors
    /// The first error of `train` or `rule`.
    pub fn run<E: From<PruneError>>(
        &mut self,
        rounds: usize,
        mut train: impl FnMut(usize, M, &Masks) -> Result<M, E>,
        rule: impl Fn(&M, &M, &Masks) -> Result<Masks, PruneError>,
    ) -> Result<(), E> {
        for round in 0..rounds {
            let trained = train(round, self.rewound(), &self.masks)?;
            if round + 1 < rounds {
                self.prune(|initial, masks| rule(initial, &trained, masks))?;
            }
        }
        Ok(())
    }
}
