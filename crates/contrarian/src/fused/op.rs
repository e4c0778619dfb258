use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, DispatchDevice, DispatchTensor, Flex, FlexDevice, backend_extension};
use burn::tensor::{DType, Element, Int, Tensor, TensorData};
use contrarian_kernels::{KernelError, Real};
use std::fmt::Debug;
use std::sync::{Arc, OnceLock};

/// What a kernel gives in the forward pass.
pub(crate) struct Evaluation<T> {
    /// The output, in one axis.
    pub value: Vec<T>,
    /// For an output of one number, where gradients were asked for: its gradient in each input, in the order of the
    /// inputs. `None` leaves the work to [`Kernel::pull_back`].
    pub gradients: Option<Vec<Vec<T>>>,
}

/// A fused objective over float tensors, given as contiguous slices.
///
/// A kernel is implemented for f32 and f64 (usually by one generic implementation); what is not differentiated (labels,
/// parameters, sizes) is in the implementing type.
pub(crate) trait Kernel<T>: Debug + Send + Sync {
    /// The output, and its gradients where `gradients` and where it is cheapest to make them together.
    fn evaluate(&self, inputs: &[&[T]], gradients: bool) -> Result<Evaluation<T>, KernelError>;

    /// The gradient in each input of `sum_i upstream_i output_i`, for kernels whose [`evaluate`](Self::evaluate) does not
    /// give it.
    fn pull_back(&self, _inputs: &[&[T]], _upstream: &[T]) -> Result<Vec<Vec<T>>, KernelError> {
        unreachable!("a kernel gives its gradients in `evaluate` or in `pull_back`")
    }
}

/// A kernel in both precisions.
pub(crate) trait FusedKernel: Kernel<f32> + Kernel<f64> {}

impl<K: Kernel<f32> + Kernel<f64>> FusedKernel for K {}

/// Whether the kernels can work on this tensor: it lies in this machine's memory and is f32 or f64.
///
/// The environment variable `CONTRARIAN_KERNELS=off`, read once a process, says no to all: to find out whether a wrong
/// number comes from a kernel, and to test the composed forms.
pub(crate) fn available<const D: usize>(tensor: &Tensor<D>) -> bool {
    static ON: OnceLock<bool> = OnceLock::new();
    let on_cpu = match tensor.device().as_dispatch() {
        DispatchDevice::Flex(_) => true,
        DispatchDevice::Autodiff(device) => matches!(**device, DispatchDevice::Flex(_)),
        #[allow(unreachable_patterns, reason = "which devices there are depends on Burn's features")]
        _ => false,
    };
    on_cpu
        && matches!(tensor.dtype(), DType::F32 | DType::F64)
        && *ON.get_or_init(|| std::env::var("CONTRARIAN_KERNELS").as_deref() != Ok("off"))
}

/// Class indices or positions as a kernel takes them.
///
/// # Panics
/// When one is negative.
pub(crate) fn indices(labels: Tensor<1, Int>) -> Vec<usize> {
    let convert = |(at, label): (usize, i64)| {
        usize::try_from(label).unwrap_or_else(|_| panic!("label {label} at {at} is negative"))
    };
    labels.into_data().iter::<i64>().enumerate().map(convert).collect()
}

/// The kernel's output `[rows]` (or `[1]`), differentiable in one to three inputs.
///
/// # Panics
/// With the kernel's error, when sizes do not fit each other or memory.
pub(crate) fn apply<const N: usize>(inputs: [DispatchTensor; N], kernel: impl FusedKernel + 'static) -> Tensor<1> {
    let kernel = Arc::new(kernel);
    let mut inputs = inputs.into_iter();
    let output = match [inputs.next(), inputs.next(), inputs.next()] {
        [Some(x), None, None] => Dispatch::fused1(x, kernel),
        [Some(x), Some(y), None] => Dispatch::fused2(x, y, kernel),
        [Some(x), Some(y), Some(z)] => Dispatch::fused3(x, y, z, kernel),
        _ => unreachable!("a kernel has an input"),
    };
    Tensor::from_dispatch(output)
}

/// One node of the graph for all kernels; the number of parents is part of a node's type.
#[backend_extension(Flex, Autodiff)]
trait FusedOps: Backend {
    fn fused1(x: FloatTensor<Self>, kernel: Arc<dyn FusedKernel>) -> FloatTensor<Self>;
    fn fused2(x: FloatTensor<Self>, y: FloatTensor<Self>, kernel: Arc<dyn FusedKernel>) -> FloatTensor<Self>;
    fn fused3(
        x: FloatTensor<Self>,
        y: FloatTensor<Self>,
        z: FloatTensor<Self>,
        kernel: Arc<dyn FusedKernel>,
    ) -> FloatTensor<Self>;
}

impl FusedOps for Flex {
    fn fused1(x: FloatTensor<Self>, kernel: Arc<dyn FusedKernel>) -> FloatTensor<Self> {
        forward(&[x], &*kernel, false).0
    }

    fn fused2(x: FloatTensor<Self>, y: FloatTensor<Self>, kernel: Arc<dyn FusedKernel>) -> FloatTensor<Self> {
        forward(&[x, y], &*kernel, false).0
    }

    fn fused3(
        x: FloatTensor<Self>,
        y: FloatTensor<Self>,
        z: FloatTensor<Self>,
        kernel: Arc<dyn FusedKernel>,
    ) -> FloatTensor<Self> {
        forward(&[x, y, z], &*kernel, false).0
    }
}

impl<C: CheckpointStrategy> FusedOps for Autodiff<Flex, C> {
    fn fused1(x: FloatTensor<Self>, kernel: Arc<dyn FusedKernel>) -> FloatTensor<Self> {
        node::<C, 1>([x], kernel)
    }

    fn fused2(x: FloatTensor<Self>, y: FloatTensor<Self>, kernel: Arc<dyn FusedKernel>) -> FloatTensor<Self> {
        node::<C, 2>([x, y], kernel)
    }

    fn fused3(
        x: FloatTensor<Self>,
        y: FloatTensor<Self>,
        z: FloatTensor<Self>,
        kernel: Arc<dyn FusedKernel>,
    ) -> FloatTensor<Self> {
        node::<C, 3>([x, y, z], kernel)
    }
}

fn node<C: CheckpointStrategy, const N: usize>(
    inputs: [FloatTensor<Autodiff<Flex, C>>; N],
    kernel: Arc<dyn FusedKernel>,
) -> FloatTensor<Autodiff<Flex, C>> {
    let parents = inputs.each_ref().map(FloatTensor::<Autodiff<Flex, C>>::node);
    let inputs: Vec<FloatTensor<Flex>> =
        inputs.into_iter().map(|input| input.into_primitive().to_contiguous()).collect();
    match PullBack.prepare::<C>(parents).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => {
            let (value, gradients) = forward(&inputs, &*kernel, true);
            // With the gradients at hand the inputs are not needed any more.
            let inputs = if gradients.is_some() { Vec::new() } else { inputs };
            prepared.finish(State { kernel, inputs, gradients }, value)
        }
        OpsKind::UnTracked(prepared) => prepared.finish(forward(&inputs, &*kernel, false).0),
    }
}

#[derive(Debug)]
struct PullBack;

#[derive(Debug, Clone)]
struct State {
    kernel: Arc<dyn FusedKernel>,
    inputs: Vec<FloatTensor<Flex>>,
    gradients: Option<Vec<FloatTensor<Flex>>>,
}

impl<const N: usize> Backward<Flex, N> for PullBack {
    type State = State;

    fn backward(self, ops: Ops<State, N>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let upstream = grads.consume::<Flex>(&ops.node);
        let gradients: Vec<FloatTensor<Flex>> = match ops.state.gradients {
            Some(gradients) => {
                let by: f64 = match upstream.dtype() {
                    DType::F64 => contiguous::<f64>(&upstream)[0],
                    _ => contiguous::<f32>(&upstream)[0].into(),
                };
                let scaled = |gradient| if by == 1.0 { gradient } else { Flex::float_mul_scalar(gradient, by.into()) };
                gradients.into_iter().map(scaled).collect()
            }
            None => backward(&ops.state.inputs, &*ops.state.kernel, &upstream),
        };
        for (parent, gradient) in ops.parents.into_iter().zip(gradients) {
            if let Some(parent) = parent {
                grads.register::<Flex>(parent.id, gradient);
            }
        }
    }
}

fn forward(
    inputs: &[FloatTensor<Flex>],
    kernel: &dyn FusedKernel,
    gradients: bool,
) -> (FloatTensor<Flex>, Option<Vec<FloatTensor<Flex>>>) {
    fn typed<T: Number>(
        inputs: &[FloatTensor<Flex>],
        kernel: &dyn Kernel<T>,
        gradients: bool,
    ) -> (FloatTensor<Flex>, Option<Vec<FloatTensor<Flex>>>) {
        let inputs: Vec<FloatTensor<Flex>> = inputs.iter().map(FloatTensor::<Flex>::to_contiguous).collect();
        let slices: Vec<&[T]> = inputs.iter().map(contiguous).collect();
        let evaluation = kernel.evaluate(&slices, gradients).unwrap_or_else(|error| panic!("{error}"));
        let gradients = evaluation.gradients.map(|all| shaped(all, &inputs));
        (tensor(evaluation.value, None), gradients)
    }
    match inputs[0].dtype() {
        DType::F64 => typed::<f64>(inputs, kernel, gradients),
        _ => typed::<f32>(inputs, kernel, gradients),
    }
}

fn backward(
    inputs: &[FloatTensor<Flex>],
    kernel: &dyn FusedKernel,
    upstream: &FloatTensor<Flex>,
) -> Vec<FloatTensor<Flex>> {
    fn typed<T: Number>(
        inputs: &[FloatTensor<Flex>],
        kernel: &dyn Kernel<T>,
        upstream: &FloatTensor<Flex>,
    ) -> Vec<FloatTensor<Flex>> {
        let upstream = upstream.to_contiguous();
        let slices: Vec<&[T]> = inputs.iter().map(contiguous).collect();
        let gradients = kernel.pull_back(&slices, contiguous(&upstream)).unwrap_or_else(|error| panic!("{error}"));
        shaped(gradients, inputs)
    }
    match upstream.dtype() {
        DType::F64 => typed::<f64>(inputs, kernel, upstream),
        _ => typed::<f32>(inputs, kernel, upstream),
    }
}

/// f32 and f64, as the CPU backend stores them.
trait Number: Real + Element {
    fn slice(tensor: &FloatTensor<Flex>) -> Option<&[Self]>;
}

impl Number for f32 {
    fn slice(tensor: &FloatTensor<Flex>) -> Option<&[Self]> {
        tensor.as_slice()
    }
}

impl Number for f64 {
    fn slice(tensor: &FloatTensor<Flex>) -> Option<&[Self]> {
        tensor.as_slice()
    }
}

fn contiguous<T: Number>(tensor: &FloatTensor<Flex>) -> &[T] {
    T::slice(tensor).expect("the tensors of a kernel are contiguous and of one dtype")
}

fn shaped<T: Element>(gradients: Vec<Vec<T>>, like: &[FloatTensor<Flex>]) -> Vec<FloatTensor<Flex>> {
    gradients.into_iter().zip(like).map(|(gradient, like)| tensor(gradient, Some(like))).collect()
}

fn tensor<T: Element>(values: Vec<T>, like: Option<&FloatTensor<Flex>>) -> FloatTensor<Flex> {
    let shape = like.map_or_else(|| [values.len()].into(), |like| like.layout().shape().clone());
    Flex::float_from_data(TensorData::new(values, shape), &FlexDevice)
}
