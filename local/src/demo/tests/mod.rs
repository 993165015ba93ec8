mod harness;
mod pipeline;
mod simulation;
