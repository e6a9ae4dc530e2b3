-- What a score judges: a span, a whole trace ('' as span_id) or a conversation ('' as trace_id and span_id). Means never
-- mix them. A conversation's id is on the scores of its spans and traces too: they are one cluster.
ALTER TABLE evaluations ADD COLUMN IF NOT EXISTS conversation_id String CODEC(ZSTD(1));
ALTER TABLE evaluations ADD COLUMN IF NOT EXISTS unit Enum8('span' = 1, 'trace' = 2, 'conversation' = 3) DEFAULT multiIf(span_id != '', 'span', trace_id != '', 'trace', conversation_id != '', 'conversation', 'span');
ALTER TABLE evaluations ADD INDEX IF NOT EXISTS by_conversation conversation_id TYPE bloom_filter(0.01) GRANULARITY 1;
