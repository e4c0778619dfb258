use super::balanced_tree::balanced_clusters;
use crate::InvalidParameter;
use crate::error::require;
use burn::config::Config;
use rand::Rng;
use rand::seq::SliceRandom;

/// Mini-batches of neighbours: the positives of the others in a batch are hard negatives, and nothing more has to be encoded.
///
/// Until `start_epoch` batches are random. From then on, every `refresh` epochs, all inputs are clustered by their embeddings; each epoch
/// shuffles the clusters, joins them and cuts batches. The cluster size begins at `initial_cluster_size` and doubles at the epochs of the
/// curriculum.
///
/// Source: Dahiya et al. 2022, "NGAME", <https://arxiv.org/abs/2207.04452>, section 3.2.
#[derive(Config, Debug)]
pub struct NgameSampler {
    /// Inputs a batch, at least 2.
    pub batch_size: usize,
    /// First epoch with clusters, counted from 0.
    #[config(default = 1)]
    pub start_epoch: usize,
    /// Epochs between two clusterings, at least 1.
    #[config(default = 5)]
    pub refresh: usize,
    /// Epochs at which the cluster size doubles, ascending.
    #[config(default = "Vec::new()")]
    pub curriculum: Vec<usize>,
    /// Inputs of a cluster at first, at least 1.
    #[config(default = 16)]
    pub initial_cluster_size: usize,
}

impl NgameSampler {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require(self.batch_size >= 2, "batch_size", self.batch_size, "at least 2")?;
        require(self.refresh >= 1, "refresh", self.refresh, "at least 1")?;
        require(self.initial_cluster_size >= 1, "initial_cluster_size", self.initial_cluster_size, "at least 1")?;
        let ascending = self.curriculum.windows(2).all(|epochs| epochs[0] < epochs[1]);
        require(ascending, "curriculum", format!("{:?}", self.curriculum), "ascending")
    }

    /// Inputs of a cluster in an epoch.
    pub fn cluster_size(&self, epoch: usize) -> usize {
        let doublings = self.curriculum.iter().filter(|at| **at <= epoch).count();
        self.initial_cluster_size.saturating_mul(1usize.checked_shl(doublings as u32).unwrap_or(usize::MAX))
    }

    /// Whether an epoch begins with a new clustering.
    pub fn clusters_at(&self, epoch: usize) -> bool {
        epoch >= self.start_epoch && (epoch - self.start_epoch).is_multiple_of(self.refresh)
    }

    /// The clusters of the inputs by their embeddings `[n, dim]`, row-major.
    ///
    /// # Panics
    /// When there is no input.
    pub fn cluster(&self, epoch: usize, embeddings: &[f64], dim: usize, rng: &mut impl Rng) -> Vec<Vec<usize>> {
        let inputs = embeddings.len() / dim;
        balanced_clusters(embeddings, dim, inputs.div_ceil(self.cluster_size(epoch)).max(1), rng)
    }

    /// The batches of an epoch: every input once. Before any clustering each input is a cluster of its own.
    pub fn epoch(&self, mut clusters: Vec<Vec<usize>>, rng: &mut impl Rng) -> Vec<Vec<usize>> {
        clusters.shuffle(rng);
        let order: Vec<usize> = clusters.into_iter().flatten().collect();
        order.chunks(self.batch_size.max(1)).map(Vec::from).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::Xoshiro256PlusPlus;

    #[test]
    fn an_epoch_is_a_permutation_of_whole_clusters() {
        let sampler = NgameSampler::new(8).with_curriculum(vec![6]).with_initial_cluster_size(4);
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(0);
        let points: Vec<f64> = (0..40).flat_map(|at| [f64::from(at % 4) - 1.5, 1.0, f64::from(at % 7)]).collect();
        let clusters = sampler.cluster(1, &points, 3, rng);
        assert_eq!(clusters.len(), 16);
        let batches = sampler.epoch(clusters, rng);
        let mut all: Vec<usize> = batches.iter().flatten().copied().collect();
        all.sort_unstable();
        assert_eq!((all, batches.len()), ((0..40).collect::<Vec<_>>(), 5));
        assert_eq!([0, 1, 2, 6].map(|epoch| sampler.clusters_at(epoch)), [false, true, false, true]);
        assert_eq!([1, 6].map(|epoch| sampler.cluster_size(epoch)), [4, 8]);
        assert_eq!(sampler.with_curriculum(vec![3, 3]).validate().unwrap_err().field, "curriculum");
    }
}
