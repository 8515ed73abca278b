"""Fewer bits: GPTQ, written so that plain transformers and vLLM load the result."""
