mod harness;
mod pipeline;
mod sign_in;
mod simulation;
