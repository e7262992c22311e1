-- name: states_with_events
-- States with all their event rows, by one snapshot.
SELECT e.id::text, CASE WHEN e.state_format = %(format)s THEN e.state END, e.version, coalesce(e.state_version, e.version),
       ARRAY(SELECT h.events FROM history h WHERE h.execution_id = e.id ORDER BY h.first_event)
FROM executions e
WHERE e.id > %(after)s::uuid AND (%(id)s::uuid IS NULL OR e.id = %(id)s::uuid)
ORDER BY e.id LIMIT %(limit)s
