use super::FederatedError;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;

/// The weighted mean of the clients' modules, parameter by parameter.
///
/// ```text
/// average = sum_k w_k theta_k / sum_k w_k
/// ```
///
/// Every float tensor takes part: weights, and the running statistics of batch normalisation. What is no float (flags, counts) is
/// that of the first client. The weights are the clients' numbers of rows in McMahan et al., and equal in the code of FedKA.
///
/// Models are taken as [`Module::valid`] gives them, so pending running statistics count; the average is a model for inference,
/// `train` makes it trainable. It shares nothing with the clients. (A plain `clone` of a module would: clones have their running
/// statistics in common. Hand `average.valid().train()` to each client.)
///
/// # Errors
/// When there is no client, weights do not match, are negative or sum to 0, or the modules have other parameters than the first.
///
/// Source: McMahan et al. 2017, <https://arxiv.org/abs/1602.05629>, algorithm 1; Sun et al. 2022,
/// <https://arxiv.org/abs/2203.11635>, section 3.
pub fn federated_average<M: Module>(clients: &[M], weights: &[f64]) -> Result<M, FederatedError> {
    let first = clients.first().ok_or(FederatedError::NoClients)?;
    if weights.len() != clients.len() {
        return Err(FederatedError::Weights { weights: weights.len(), clients: clients.len() });
    }
    if let Some((client, &weight)) = weights.iter().enumerate().find(|(_, w)| !(**w >= 0.0 && w.is_finite())) {
        return Err(FederatedError::Weight { client, weight });
    }
    let total: f64 = weights.iter().sum();
    if total == 0.0 {
        return Err(FederatedError::NoWeight);
    }
    let mut sum: Vec<Entry> = Vec::new();
    for (client, (module, weight)) in clients.iter().zip(weights).enumerate() {
        let mut reader = Reader::default();
        module.valid().visit(&mut reader);
        let scaled = reader.entries.into_iter().map(|entry| entry.scale(weight / total));
        if client == 0 {
            sum = scaled.collect();
            continue;
        }
        let scaled: Vec<Entry> = scaled.collect();
        let unlike = |reason: String| FederatedError::Parameters { client, reason };
        if scaled.len() != sum.len() {
            return Err(unlike(format!("{} instead of {}", scaled.len(), sum.len())));
        }
        sum = sum.into_iter().zip(scaled).map(|(sum, own)| sum.add(own).map_err(unlike)).collect::<Result<_, _>>()?;
    }
    Ok(first.valid().map(&mut Writer { entries: sum.into_iter() }))
}

/// A parameter: its place in the module, its shape, its numbers.
struct Entry {
    path: String,
    shape: Vec<usize>,
    values: Tensor<1>,
}

impl Entry {
    fn scale(self, by: f64) -> Self {
        Self { values: self.values.mul_scalar(by), ..self }
    }

    fn add(self, other: Self) -> Result<Self, String> {
        if (&self.path, &self.shape) != (&other.path, &other.shape) {
            return Err(format!("`{}` {:?} instead of `{}` {:?}", other.path, other.shape, self.path, self.shape));
        }
        Ok(Self { values: self.values + other.values, ..self })
    }
}

#[derive(Default)]
struct Reader {
    path: Vec<String>,
    entries: Vec<Entry>,
}

impl ModuleVisitor for Reader {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let values = param.val();
        let shape = values.dims();
        let values = values.reshape([shape.iter().product::<usize>()]);
        self.entries.push(Entry { path: self.path.join("."), shape: shape.to_vec(), values });
    }
}

/// Puts the averages in place, in the order of the visit.
struct Writer {
    entries: std::vec::IntoIter<Entry>,
}

impl ModuleMapper for Writer {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let average = self.entries.next().expect("a module is mapped in the order it is visited");
        param.map(|tensor| average.values.reshape(tensor.dims()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig};
    use burn::tensor::Device;

    #[derive(Module, Debug)]
    struct Net {
        linear: Linear,
        norm: BatchNorm,
    }

    fn net(columns: usize, device: &Device) -> Net {
        Net { linear: LinearConfig::new(2, columns).init(device), norm: BatchNormConfig::new(columns).init(device) }
    }

    fn floats<const D: usize>(x: Tensor<D>) -> Vec<f32> {
        x.into_data().try_to_vec().unwrap()
    }

    #[test]
    fn weights_and_running_statistics_are_averaged() {
        let device = Device::flex().autodiff();
        let clients = [net(3, &device), net(3, &device)];
        let apply = |net: &Net, x: Tensor<2>| net.norm.forward(net.linear.forward(x));
        let shifted = |by: f32| Tensor::<2>::from_floats([[1.0 + by, 2.0], [3.0, by], [0.5, -1.0]], &device);
        for (net, by) in clients.iter().zip([0.0, 5.0]) {
            apply(net, shifted(by));
        }
        let average = federated_average(&clients, &[3.0, 1.0]).unwrap();
        let mean = |of: &dyn Fn(&Net) -> Vec<f32>| -> Vec<f32> {
            of(&clients[0].valid()).iter().zip(of(&clients[1].valid())).map(|(a, b)| 0.75 * a + 0.25 * b).collect()
        };
        let parts: [fn(&Net) -> Vec<f32>; 4] = [
            |net| floats(net.linear.weight.val()),
            |net| floats(net.norm.gamma.val()),
            |net| floats(net.norm.running_mean.value()),
            |net| floats(net.norm.running_var.value()),
        ];
        for part in parts {
            for (found, expected) in part(&average).iter().zip(mean(&part)) {
                // A sum of two numbers of order 1 in f32.
                assert!((found - expected).abs() < 1e-6, "{found} against {expected}");
            }
        }
        let statistics = |net: &Net| floats(net.valid().norm.running_mean.value());
        assert_ne!(statistics(&clients[0]), statistics(&clients[1]), "the statistics had something to average");
        // What a client does to its copy, no other model sees.
        let before = floats(average.norm.running_mean.value());
        let copy = average.valid().train();
        apply(&copy, shifted(9.0));
        assert_ne!(statistics(&copy), before);
        assert_eq!(floats(average.norm.running_mean.value()), before);
    }

    #[test]
    fn one_client_and_equal_clients_are_their_own_average() {
        let device = Device::flex();
        let one = net(2, &device);
        for (clients, weights) in [(vec![one.clone()], vec![0.1]), (vec![one.clone(), one.clone()], vec![1.0, 1.0])] {
            let average = federated_average(&clients, &weights).unwrap();
            assert_eq!(floats(average.linear.weight.val()), floats(one.linear.weight.val()));
        }
    }

    #[test]
    fn what_cannot_be_averaged_is_named() {
        let device = Device::flex();
        let clients = [net(2, &device), net(3, &device)];
        let error = federated_average(&clients, &[1.0, 1.0]).unwrap_err().to_string();
        assert!(error.contains("client 1") && error.contains("linear.weight"), "{error}");
        let pair = [net(2, &device), net(2, &device)];
        assert_eq!(federated_average(&pair, &[0.0, 0.0]).unwrap_err(), FederatedError::NoWeight);
        let error = federated_average(&pair, &[1.0, -1.0]).unwrap_err();
        assert_eq!(error, FederatedError::Weight { client: 1, weight: -1.0 });
        assert!(matches!(federated_average(&pair, &[1.0, f64::NAN]), Err(FederatedError::Weight { client: 1, .. })));
        assert!(matches!(federated_average(&pair, &[1.0]), Err(FederatedError::Weights { .. })));
        assert_eq!(federated_average::<Net>(&[], &[]).unwrap_err(), FederatedError::NoClients);
    }
}
