use super::PruneError;
use crate::error::require;
use burn::config::Config;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamGroup, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Bool, Device, Tensor, TensorData};

/// Among which entries the smallest are looked for.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Each parameter loses the same share.
    PerLayer,
    /// All parameters are compared with each other; a parameter may lose every entry (see [`Masks::collapsed`]).
    Global,
}

/// Which entries of a module's parameters are alive; the others are 0 and stay 0.
///
/// A mask is an edit of parameters, so any Burn module and any optimiser will do: call [`apply`](Self::apply) after every
/// step, and [`mask_gradients`](Self::mask_gradients) before it where the norm of the gradient matters (clipping). Momentum
/// moves removed entries in between; the forward pass never sees it.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::Device;
/// use contrarian::compression::{MagnitudeFinal, Masks};
///
/// let model = LinearConfig::new(4, 4).init(&Device::flex());
/// let masks = MagnitudeFinal::new().prune(&model, &Masks::new(&model)?)?;
/// let model = masks.apply(model);
/// assert_eq!(masks.density(), 0.5);
/// # Ok::<(), contrarian::compression::PruneError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Masks {
    layers: Vec<Layer>,
}

/// The mask of one parameter.
#[derive(Debug, Clone)]
struct Layer {
    id: ParamId,
    path: String,
    shape: Vec<usize>,
    alive: Vec<bool>,
    /// The opposite of `alive`, on the parameter's device.
    removed: Tensor<1, Bool>,
}

impl Masks {
    /// Masks over every weight matrix (parameters of two and more axes: no biases, no scales of norms), all alive.
    ///
    /// # Errors
    /// When there is none.
    pub fn new<M: Module>(module: &M) -> Result<Self, PruneError> {
        Self::collect(module, |shape, _, _| shape.len() >= 2)
    }

    /// Masks over the parameters of a group, whatever their number of axes.
    ///
    /// # Errors
    /// When the group matches none.
    pub fn of_group<M: Module>(module: &M, group: &ParamGroup) -> Result<Self, PruneError> {
        Self::collect(module, |_, id, path| group.matches(&id, Some(path)))
    }

    fn collect<M: Module>(module: &M, choose: impl Fn(&[usize], ParamId, &str) -> bool) -> Result<Self, PruneError> {
        let mut collector = Collector { path: Vec::new(), choose, layers: Vec::new() };
        module.visit(&mut collector);
        if collector.layers.is_empty() {
            Err(PruneError::NothingToPrune)
        } else {
            Ok(Self { layers: collector.layers })
        }
    }

    /// Replaces the mask of the parameter at `path` (`layers.0.weight`; empty for a bare parameter).
    ///
    /// # Errors
    /// When there is no such parameter, or it has another number of entries.
    pub fn with_mask(mut self, path: &str, alive: Vec<bool>) -> Result<Self, PruneError> {
        let layer = self.layers.iter_mut().find(|layer| layer.path == path);
        let layer = layer.ok_or_else(|| PruneError::Missing { path: path.into() })?;
        if alive.len() != layer.alive.len() {
            let (path, expected) = (layer.path.clone(), layer.shape.clone());
            return Err(PruneError::Shape { path, expected, found: vec![alive.len()] });
        }
        layer.set(alive);
        Ok(self)
    }

    /// The masks by path, in the order of the module: true where an entry is alive.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[bool])> {
        self.layers.iter().map(|layer| (layer.path.as_str(), layer.alive.as_slice()))
    }

    /// Entries alive.
    pub fn alive(&self) -> usize {
        self.layers.iter().map(Layer::count).sum()
    }

    /// Entries under masks.
    pub fn total(&self) -> usize {
        self.layers.iter().map(|layer| layer.alive.len()).sum()
    }

    /// Part of the entries that is alive, in `[0, 1]`.
    pub fn density(&self) -> f64 {
        self.alive() as f64 / self.total() as f64
    }

    /// Paths of the parameters that have no entry left: nothing passes such a layer.
    pub fn collapsed(&self) -> Vec<&str> {
        self.layers.iter().filter(|layer| layer.count() == 0).map(|layer| layer.path.as_str()).collect()
    }

    /// The module with its removed entries set to 0. Parameters keep their ids, so optimisers keep their state.
    ///
    /// # Panics
    /// When a parameter has another shape than its mask.
    pub fn apply<M: Module>(&self, module: M) -> M {
        module.map(&mut Apply { masks: self })
    }

    /// The gradients with those of removed entries set to 0.
    pub fn mask_gradients<M: Module>(&self, module: &M, gradients: GradientsParams) -> GradientsParams {
        let mut masked = MaskGradients { masks: self, gradients };
        module.visit(&mut masked);
        masked.gradients
    }

    /// Removes the `floor(fraction * alive)` entries with the smallest scores; of equal ones those that come first (by
    /// parameter, then by flat index). The shared step of all rules, for a rule of your own: `scores` has a number for every
    /// entry of every masked parameter, in the order of [`iter`](Self::iter), and those of removed entries are ignored.
    ///
    /// # Errors
    /// When `fraction` is not in `[0, 1)` (a network without weights is no network), sizes differ, or a score is NaN.
    pub fn remove_smallest(&self, scores: &[Vec<f64>], fraction: f64, scope: Scope) -> Result<Self, PruneError> {
        require((0.0..1.0).contains(&fraction), "fraction", fraction, "in [0, 1): pruning everything leaves no model")?;
        if scores.len() != self.layers.len() {
            let (expected, found) = (vec![self.layers.len()], vec![scores.len()]);
            return Err(PruneError::Shape { path: "(number of parameters)".into(), expected, found });
        }
        let mut candidates: Vec<Vec<Candidate>> = Vec::new();
        for (at, (layer, scores)) in self.layers.iter().zip(scores).enumerate() {
            if scores.len() != layer.alive.len() {
                let (path, expected) = (layer.path.clone(), layer.shape.clone());
                return Err(PruneError::Shape { path, expected, found: vec![scores.len()] });
            }
            let alive = |&index: &usize| layer.alive[index];
            if let Some(index) = (0..scores.len()).filter(alive).find(|&index| scores[index].is_nan()) {
                return Err(PruneError::NotANumber { path: layer.path.clone(), index });
            }
            let own = (0..scores.len()).filter(alive).map(|index| Candidate { score: scores[index], layer: at, index });
            match (scope, candidates.last_mut()) {
                (Scope::Global, Some(all)) => all.extend(own),
                _ => candidates.push(own.collect()),
            }
        }
        let mut masks: Vec<Vec<bool>> = self.layers.iter().map(|layer| layer.alive.clone()).collect();
        for group in &mut candidates {
            let remove = (fraction * group.len() as f64).floor() as usize;
            if remove > 0 {
                group.select_nth_unstable_by(remove - 1, Candidate::smaller_first);
            }
            for candidate in &group[..remove] {
                masks[candidate.layer][candidate.index] = false;
            }
        }
        let mut pruned = self.clone();
        pruned.layers.iter_mut().zip(masks).for_each(|(layer, alive)| layer.set(alive));
        Ok(pruned)
    }

    /// The masked parameters of a module as flat vectors, in the order of the masks.
    ///
    /// # Errors
    /// When one is missing or has another shape.
    pub(super) fn parameters<M: Module>(&self, module: &M) -> Result<Vec<Tensor<1>>, PruneError> {
        self.flat(module, None)
    }

    /// Their gradients.
    pub(super) fn gradients<M: Module>(
        &self,
        module: &M,
        gradients: &GradientsParams,
    ) -> Result<Vec<Tensor<1>>, PruneError> {
        self.flat(module, Some(gradients))
    }

    fn flat<M: Module>(&self, module: &M, gradients: Option<&GradientsParams>) -> Result<Vec<Tensor<1>>, PruneError> {
        let mut reader = Flat { masks: self, gradients, found: vec![None; self.layers.len()] };
        module.visit(&mut reader);
        let missing = |layer: &Layer| Err(PruneError::Missing { path: layer.path.clone() });
        self.layers.iter().zip(reader.found).map(|(layer, found)| found.unwrap_or_else(|| missing(layer))).collect()
    }

    fn of(&self, id: ParamId) -> Option<&Layer> {
        self.layers.iter().find(|layer| layer.id == id)
    }
}

impl Layer {
    fn new(id: ParamId, path: String, shape: Vec<usize>, device: &Device) -> Self {
        let alive = vec![true; shape.iter().product()];
        let removed = removed(&alive, &device.clone().inner());
        Self { id, path, shape, alive, removed }
    }

    fn set(&mut self, alive: Vec<bool>) {
        self.removed = removed(&alive, &self.removed.device());
        self.alive = alive;
    }

    fn count(&self) -> usize {
        self.alive.iter().filter(|&&alive| alive).count()
    }

    /// `x` with removed entries set to 0 (filled, not multiplied: a removed NaN is 0 too).
    fn clear<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let shape = x.dims();
        assert_eq!(shape.as_slice(), self.shape, "parameter `{}` has another shape than its mask", self.path);
        let mut mask = self.removed.clone();
        if mask.device() != x.device() {
            mask = mask.to_device(&x.device());
        }
        x.mask_fill(mask.reshape(shape), 0.0)
    }
}

fn removed(alive: &[bool], device: &Device) -> Tensor<1, Bool> {
    let removed: Vec<bool> = alive.iter().map(|alive| !alive).collect();
    Tensor::from_data(TensorData::new(removed, [alive.len()]), device)
}

/// An entry that may be removed.
struct Candidate {
    score: f64,
    layer: usize,
    index: usize,
}

impl Candidate {
    fn smaller_first(a: &Self, b: &Self) -> std::cmp::Ordering {
        // `total_cmp` tells -0 from 0; adding 0 makes them one.
        (a.score + 0.0).total_cmp(&(b.score + 0.0)).then(a.layer.cmp(&b.layer)).then(a.index.cmp(&b.index))
    }
}

struct Collector<F> {
    path: Vec<String>,
    choose: F,
    layers: Vec<Layer>,
}

impl<F: Fn(&[usize], ParamId, &str) -> bool> ModuleVisitor for Collector<F> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let shape: Vec<usize> = param.lazy_shape().to_vec();
        let path = self.path.join(".");
        // A parameter that is shared between layers is visited more than once.
        if (self.choose)(&shape, param.id, &path) && self.layers.iter().all(|layer| layer.id != param.id) {
            self.layers.push(Layer::new(param.id, path, shape, &param.lazy_device()));
        }
    }
}

struct Apply<'a> {
    masks: &'a Masks,
}

impl ModuleMapper for Apply<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(layer) = self.masks.of(param.id) else { return param };
        param.map(|tensor| {
            if !tensor.is_autodiff() {
                return layer.clear(tensor);
            }
            // A parameter must stay a leaf of the graph: edit the value below autodiff and put its settings back.
            let (require_grad, strategy) = (tensor.is_require_grad(), tensor.gradient_checkpointing_strategy());
            let mut edited = Tensor::from_inner(layer.clear(tensor.inner()));
            if let Some(strategy) = strategy {
                edited = edited.with_gradient_checkpointing_strategy(strategy);
            }
            edited.set_require_grad(require_grad)
        })
    }
}

struct MaskGradients<'a> {
    masks: &'a Masks,
    gradients: GradientsParams,
}

impl ModuleVisitor for MaskGradients<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(layer) = self.masks.of(param.id)
            && let Some(gradient) = self.gradients.remove::<D>(param.id)
        {
            self.gradients.register(param.id, layer.clear(gradient));
        }
    }
}

struct Flat<'a> {
    masks: &'a Masks,
    gradients: Option<&'a GradientsParams>,
    found: Vec<Option<Result<Tensor<1>, PruneError>>>,
}

impl ModuleVisitor for Flat<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(at) = self.masks.layers.iter().position(|layer| layer.id == param.id) else { return };
        let layer = &self.masks.layers[at];
        let value = match self.gradients {
            None => Some(param.val().inner()),
            Some(gradients) => gradients.get::<D>(param.id),
        };
        self.found[at] = Some(match value {
            None => Err(PruneError::NoGradient { path: layer.path.clone() }),
            Some(value) if value.dims().as_slice() != layer.shape => Err(PruneError::Shape {
                path: layer.path.clone(),
                expected: layer.shape.clone(),
                found: value.dims().to_vec(),
            }),
            Some(value) => Ok(value.reshape([layer.alive.len()])),
        });
    }
}
