//! Jobs and the places that keep them apart, all of an organization in one partition.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use evenstock_app::{JobPage, JobStore, JobWrite, StoreError, StoredJob};
use evenstock_domain::{Job, JobId, JobKind, OrganizationId};

use crate::errors::store_error;
use crate::job_item::{JobItem, read};
use crate::keys::{self, JOB_PREFIX};
use crate::revision::{ABSENT, following};
use crate::table::{DynamoStore, conditional, text, to_attributes};

/// The place is still held by the job that was seen there.
const HELD: &str = "id = :holder";

impl JobStore for DynamoStore {
    async fn load_job(&self, organization: &OrganizationId, id: &JobId) -> Result<Option<StoredJob>, StoreError> {
        self.get(&keys::job(organization, id)).await?.map(read).transpose()
    }

    async fn save_job(&self, expected: Option<u64>, job: &Job) -> Result<JobWrite, StoreError> {
        let item = JobItem::of_job(following(expected), job);
        match self.put_over(expected, &item).await? {
            Ok(()) => Ok(JobWrite::Saved),
            Err(current) => Ok(JobWrite::Conflict(current.map(read).transpose()?)),
        }
    }

    async fn list_jobs(
        &self,
        organization: &OrganizationId,
        after: Option<&JobId>,
        limit: u32,
    ) -> Result<JobPage, StoreError> {
        let start = after.map(|after| {
            let key = keys::job(organization, after);
            HashMap::from([("pk".to_owned(), text(key.pk)), ("sk".to_owned(), text(key.sk))])
        });
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk AND begins_with(sk, :jobs)")
            .expression_attribute_values(":pk", text(keys::jobs_partition(organization)))
            .expression_attribute_values(":jobs", text(JOB_PREFIX))
            .consistent_read(true)
            .scan_index_forward(false)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .set_exclusive_start_key(start);
        let page = query.send().await.map_err(store_error)?;
        let jobs = page.items.unwrap_or_default().into_iter().map(|item| read(item).map(|stored| stored.job));
        Ok(JobPage { jobs: jobs.collect::<Result<_, _>>()?, more: page.last_evaluated_key.is_some() })
    }

    async fn load_place(
        &self,
        organization: &OrganizationId,
        kind: JobKind,
        subject: &str,
    ) -> Result<Option<Job>, StoreError> {
        let item = self.get(&keys::job_place(organization, kind, subject)).await?;
        Ok(item.map(read).transpose()?.map(|stored| stored.job))
    }

    async fn take_place(&self, job: &Job, holder: Option<&JobId>) -> Result<bool, StoreError> {
        let put = self.client.put_item().table_name(&self.table);
        let put = put.set_item(Some(to_attributes(&JobItem::of_place(job))?));
        let put = match holder {
            None => put.condition_expression(ABSENT),
            Some(holder) => {
                put.condition_expression(HELD).expression_attribute_values(":holder", text(holder.as_str()))
            }
        };
        Ok(conditional!(put.send().await, PutItemError::ConditionalCheckFailedException)?.is_ok())
    }
}
