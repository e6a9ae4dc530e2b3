-- Where OTLP lands: a table that stores nothing, whose view writes spans. The columns mirror otlp.proto.
-- ${LEAF} = string_value String, bool_value Bool, int_value Int64, double_value Float64
-- ${ONE_OF_LEAF} = value Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4)
-- ${ONE_OF} = value Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4, 'array_value' = 5, 'kvlist_value' = 6, 'bytes_value' = 7)
-- ${LIST} = Tuple(values Array(Tuple(${ONE_OF_LEAF}, ${LEAF})))
-- ${TABLE} = Tuple(values Array(Tuple(key String, value Tuple(${ONE_OF_LEAF}, ${LEAF}))))
-- ${ATTRIBUTES} = Array(Tuple(key String, value Tuple(${ONE_OF}, ${LEAF}, array_value ${LIST}, kvlist_value ${TABLE}, bytes_value String)))
CREATE TABLE IF NOT EXISTS otlp_in
(
    resource_spans Array(Tuple(
        resource Tuple(attributes ${ATTRIBUTES}),
        scope_spans Array(Tuple(
            scope Tuple(name String, version String),
            spans Array(Tuple(
                trace_id String, span_id String, trace_state String, parent_span_id String, name String, kind Int32,
                start_time_unix_nano UInt64, end_time_unix_nano UInt64,
                attributes ${ATTRIBUTES},
                events Array(Tuple(time_unix_nano UInt64, name String, attributes ${ATTRIBUTES})),
                links Array(Tuple(trace_id String, span_id String)),
                status Tuple(message String, code Int32))))))),
    project String,
    received_ms UInt64
)
ENGINE = Null;
