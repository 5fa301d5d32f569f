//! Amounts of what nodes have and Pods ask for, in whole units: CPU in thousandths, everything else in ones.

use std::collections::BTreeMap;

use podo_api::Value;
use podo_api::quantity::Quantity;

/// Amounts by resource.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resources {
    /// CPU in thousandths of a core.
    pub cpu_milli: i64,
    /// Memory in bytes.
    pub memory_bytes: i64,
    /// Local disk in bytes.
    pub ephemeral_storage_bytes: i64,
    /// Everything else, by name.
    pub scalar: BTreeMap<Box<str>, i64>,
}

impl Resources {
    /// The amounts of a resource list such as `{"cpu": "500m", "memory": "1Gi"}`.
    pub fn of(list: &Value) -> Self {
        let mut resources = Self::default();
        for (name, amount) in list.as_object().into_iter().flatten() {
            let Some(quantity) = amount.as_str().and_then(|text| text.parse::<Quantity>().ok())
            else {
                continue;
            };
            match name.as_str() {
                "cpu" => resources.cpu_milli = quantity.milli_value(),
                "memory" => resources.memory_bytes = quantity.value(),
                "ephemeral-storage" => resources.ephemeral_storage_bytes = quantity.value(),
                "pods" => {}
                other => {
                    resources.scalar.insert(other.into(), quantity.value());
                }
            }
        }
        resources
    }

    /// Adds other amounts.
    pub fn add(&mut self, other: &Self) {
        self.merge(other, i64::saturating_add);
    }

    /// Takes other amounts away.
    pub fn subtract(&mut self, other: &Self) {
        self.merge(other, i64::saturating_sub);
    }

    /// Raises each amount to another one where that is larger.
    pub fn raise_to(&mut self, other: &Self) {
        self.merge(other, i64::max);
    }

    /// Takes the amounts of a whole Pod, where it asks for them, in the place of its containers' (Kubernetes v1.36 `IsSupportedPodLevelResource`).
    pub fn replace_by(&mut self, list: &Value, whole: &Self) {
        for name in list.as_object().into_iter().flatten().map(|(name, _)| name.as_str()) {
            match name {
                "cpu" => self.cpu_milli = whole.cpu_milli,
                "memory" => self.memory_bytes = whole.memory_bytes,
                _ if name.starts_with("hugepages-") => {
                    let amount = whole.scalar.get(name).copied().unwrap_or_default();
                    self.scalar.insert(name.into(), amount);
                }
                _ => {}
            }
        }
    }

    fn merge(&mut self, other: &Self, with: impl Fn(i64, i64) -> i64) {
        self.cpu_milli = with(self.cpu_milli, other.cpu_milli);
        self.memory_bytes = with(self.memory_bytes, other.memory_bytes);
        self.ephemeral_storage_bytes =
            with(self.ephemeral_storage_bytes, other.ephemeral_storage_bytes);
        for (name, amount) in &other.scalar {
            let own = self.scalar.entry(name.clone()).or_default();
            *own = with(*own, *amount);
        }
    }
}
