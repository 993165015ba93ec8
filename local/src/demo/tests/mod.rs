mod harness;
mod past;
mod pipeline;
mod sign_in;
mod simulation;
