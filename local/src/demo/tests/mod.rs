mod harness;
mod past;
mod pipeline;
mod simulation;
