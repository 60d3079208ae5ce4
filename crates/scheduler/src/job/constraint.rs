//! What a node must be like.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A condition on a node's label. `node` is the label that has the node's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Constraint {
    /// The label.
    pub label: String,
    /// How it is compared; equality if left out.
    #[serde(default)]
    pub operator: Operator,
    /// With what: one value, or for `in` several with commas between.
    pub value: String,
}

/// How a label is compared. A node without the label meets `ne` only.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Operator {
    /// It is the value.
    #[default]
    Eq,
    /// It is not.
    Ne,
    /// It is one of the values.
    In,
    /// As numbers, it is the value or more.
    Ge,
    /// As numbers, it is the value or less.
    Le,
}

/// As `zone = b`, for people.
impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operator = match self.operator {
            Operator::Eq => "=",
            Operator::Ne => "!=",
            Operator::In => "in",
            Operator::Ge => ">=",
            Operator::Le => "<=",
        };
        write!(f, "{} {operator} {}", self.label, self.value)
    }
}
