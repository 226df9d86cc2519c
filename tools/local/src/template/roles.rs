//! The roles of the functions: what the policy `calls` allows. What Lambda itself does by a role (logs, traces, triggers)
//! stands in other policies, and nothing of it happens here.

use super::TemplateError;
use super::node::Node;
use crate::rights::{Condition, HowMany, Statement};

/// The name of the policy with what a function's own code calls.
const CALLS: &str = "calls";

/// What the functions with this role may call.
pub(super) fn calls(role: &Node<'_>) -> Result<Vec<Statement>, TemplateError> {
    let mut statements = Vec::new();
    for policy in role.need("Properties")?.need("Policies")?.list()? {
        if policy.need("PolicyName")?.text()? == CALLS {
            for found in policy.need("PolicyDocument")?.need("Statement")?.list()? {
                statements.push(statement(&found)?);
            }
        }
    }
    Ok(statements)
}

fn statement(found: &Node<'_>) -> Result<Statement, TemplateError> {
    found.only(&["Effect", "Action", "Resource", "Condition"])?;
    let effect = found.need("Effect")?;
    if effect.text()? != "Allow" {
        return Err(effect.wrong("must be Allow"));
    }
    let mut conditions = Vec::new();
    for (operator, about) in
        found.get("Condition").map(|condition| condition.entries()).transpose()?.unwrap_or_default()
    {
        let how_many = match operator {
            "ForAllValues:StringEquals" | "ForAllValues:StringLike" => HowMany::All,
            "ForAnyValue:StringEquals" | "ForAnyValue:StringLike" => HowMany::Any,
            _ => return Err(about.wrong("is an operator that is not known here")),
        };
        for (key, patterns) in about.entries()? {
            conditions.push(Condition { how_many, key: key.to_owned(), patterns: texts(&patterns)? });
        }
    }
    let resources = found.need("Resource")?.one_or_more();
    let resources = resources.iter().map(Node::thing).collect::<Result<_, _>>()?;
    Ok(Statement { actions: texts(&found.need("Action")?)?, resources, conditions })
}

fn texts(node: &Node<'_>) -> Result<Vec<String>, TemplateError> {
    node.one_or_more().iter().map(Node::text).collect()
}
