//! Masks hold on any module under any optimiser; rules are exact, ties included; what cannot be pruned is an error.

use burn::module::{Module, Param, ParamGroup};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, AdamWConfig, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::{Device, Tensor};
use contrarian::compression::{
    LotteryTicket, MagnitudeFinal, MagnitudeIncrease, Masks, PruneError, Random, Scope, Snip,
};
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;

#[derive(Module, Debug)]
struct Net {
    conv: Conv2d,
    head: Linear,
}

impl Net {
    fn new(device: &Device) -> Self {
        Self { conv: Conv2dConfig::new([1, 2], [3, 3]).init(device), head: LinearConfig::new(8, 2).init(device) }
    }

    fn loss(&self) -> Tensor<1> {
        let image = Tensor::<1>::from_floats([0.5, -1.0, 2.0, 1.5], &self.head.weight.device());
        let image = image.repeat_dim(0, 4).reshape([1, 1, 4, 4]);
        self.head.forward(self.conv.forward(image).reshape([1, 8])).sub_scalar(3.0).square().mean()
    }
}

fn values(net: &Net) -> Vec<f32> {
    let flat = |x: Vec<f32>, y: Vec<f32>| [x, y].concat();
    flat(
        net.conv.weight.val().into_data().try_to_vec().unwrap(),
        net.head.weight.val().into_data().try_to_vec().unwrap(),
    )
}

#[test]
fn masks_hold_under_every_optimiser_and_the_rest_is_trained() {
    let device = Device::flex().autodiff();
    let momentum = Some(MomentumConfig::new().with_momentum(0.9));
    let optimisers: [ModuleOptimizer; 3] =
        [SgdConfig::new().with_momentum(momentum).init(), AdamConfig::new().init(), AdamWConfig::new().init()];
    for mut optimizer in optimisers {
        let first = Net::new(&device);
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(1);
        let masks = Random::new().prune(&Masks::new(&first).unwrap(), rng).unwrap();
        let alive: Vec<bool> = masks.iter().flat_map(|(_, alive)| alive.to_vec()).collect();
        let start = masks.apply(first);
        let mut net = start.clone();
        for _ in 0..20 {
            let gradients = GradientsParams::from_grads(net.loss().backward(), &net);
            let gradients = masks.mask_gradients(&net, gradients);
            let weight = gradients.get::<2>(net.head.weight.id).unwrap();
            assert!(weight.abs().sum().into_scalar::<f32>() > 0.0);
            net = masks.apply(optimizer.step(0.002, net, gradients));
            let zero = values(&net).iter().zip(&alive).all(|(value, alive)| *alive || *value == 0.0);
            assert!(zero, "a removed weight moved");
        }
        assert!(net.loss().into_scalar::<f32>() < start.loss().into_scalar::<f32>());
    }
}

fn bare(data: &[f32]) -> Param<Tensor<2>> {
    Param::from_tensor(Tensor::<1>::from_floats(data, &Device::flex()).reshape([1, data.len()]))
}

fn alive(masks: &Masks) -> Vec<bool> {
    masks.iter().flat_map(|(_, alive)| alive.to_vec()).collect()
}

#[test]
fn ties_go_by_lowest_index_and_the_count_is_rounded_down() {
    let weights = bare(&[1.0, -1.0, 1.0, 2.0, -1.0]);
    let masks = Masks::new(&weights).unwrap();
    let half = MagnitudeFinal::new().prune(&weights, &masks).unwrap();
    assert_eq!(alive(&half), [false, false, true, true, true]);
    // floor(.5 * 3) = 1 of the three alive.
    let quarter = MagnitudeFinal::new().prune(&weights, &half).unwrap();
    assert_eq!(alive(&quarter), [false, false, false, true, true]);
    assert_eq!(alive(&MagnitudeFinal::new().with_fraction(0.0).prune(&weights, &masks).unwrap()), [true; 5]);
    // The last weight is never removed: floor(.99 * 1) = 0.
    let mut last = masks;
    for _ in 0..20 {
        last = MagnitudeFinal::new().with_fraction(0.99).prune(&weights, &last).unwrap();
    }
    assert_eq!(last.alive(), 1);
}

#[test]
fn global_scope_may_empty_a_layer_and_says_so() {
    let device = Device::flex();
    let mut net = Net::new(&device);
    net.conv.weight = net.conv.weight.map(|weight| weight.zeros_like());
    let masks = Masks::new(&net).unwrap();
    let global = MagnitudeFinal::new().with_fraction(0.6).with_scope(Scope::Global).prune(&net, &masks).unwrap();
    assert_eq!(global.collapsed(), Vec::<&str>::from(["conv.weight"]));
    assert!(MagnitudeFinal::new().prune(&net, &masks).unwrap().collapsed().is_empty());
    let biases = Masks::of_group(&net, &ParamGroup::ids_from_module(net.head.bias.clone())).unwrap();
    assert_eq!(biases.total(), 2);
}

#[test]
fn what_cannot_be_pruned_is_an_error() {
    let weights = bare(&[1.0, 2.0]);
    let masks = Masks::new(&weights).unwrap();
    let all = MagnitudeFinal::new().with_fraction(1.0).prune(&weights, &masks).unwrap_err().to_string();
    assert!(all.contains("`fraction` is 1") && all.contains("leaves no model"), "{all}");
    let nan = MagnitudeFinal::new().prune(&weights.clone().map(|w| w.mul_scalar(f32::NAN)), &masks).unwrap_err();
    assert_eq!(nan, PruneError::NotANumber { path: String::new(), index: 0 });
    assert!(matches!(MagnitudeFinal::new().prune(&bare(&[1.0, 2.0]), &masks), Err(PruneError::Missing { .. })));
    assert!(matches!(masks.clone().with_mask("", vec![true]), Err(PruneError::Shape { .. })));
    assert!(matches!(Snip::new().prune(&weights, &GradientsParams::new(), &masks), Err(PruneError::NoGradient { .. })));
    let vector = Param::from_tensor(Tensor::<1>::ones([3], &Device::flex()));
    assert_eq!(Masks::new(&vector).unwrap_err(), PruneError::NothingToPrune);
}

#[test]
fn a_ticket_rewinds_to_the_first_weights() {
    let first = bare(&[0.5, -0.5, 0.25, 1.0]);
    let mut ticket = LotteryTicket::new(first.clone(), Masks::new(&first).unwrap());
    let mut densities = Vec::new();
    let train = |_: usize, model: Param<Tensor<2>>, masks: &Masks| {
        densities.push(masks.density());
        // Training that grows the entries by their index.
        Ok::<_, PruneError>(model.map(|w| w.clone() * Tensor::from_floats([[1.0, 2.0, 3.0, 4.0]], &w.device())))
    };
    ticket.run(3, train, |initial, trained, masks| MagnitudeIncrease::new().prune(initial, trained, masks)).unwrap();
    assert_eq!(densities, [1.0, 0.5, 0.25]);
    // Increases are 0, .5, .5, 3: the first two go (a tie by index), then the third.
    let rewound: Vec<f32> = ticket.rewound().val().into_data().try_to_vec().unwrap();
    assert_eq!(rewound, [0.0, 0.0, 0.0, 1.0]);
}
