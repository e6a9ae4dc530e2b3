-- Messages repeat: system prompts, passages, histories that grow by a turn. In blocks of 4 MB, with a window as long, a
-- repetition costs a few bytes, and ZSTD(1) takes half the time of ZSTD(3). What is there keeps its blocks until its next merge.
ALTER TABLE spans MODIFY COLUMN input String CODEC(ZSTD(1, 22)) SETTINGS (min_compress_block_size = 4194304, max_compress_block_size = 4194304);
ALTER TABLE spans MODIFY COLUMN output String CODEC(ZSTD(1, 22)) SETTINGS (min_compress_block_size = 4194304, max_compress_block_size = 4194304);
