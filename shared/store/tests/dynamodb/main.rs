//! The store on DynamoDB: the AWS SDK over loopback HTTP to an emulator in this process.

mod contract;
mod cost;
mod faults;
mod support;
