//! The store contract on DynamoDB: the AWS SDK over loopback HTTP to an emulator in this process.

mod support;

evenstock_app::store_contract!(support::fresh);
