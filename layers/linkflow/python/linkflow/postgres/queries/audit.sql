-- name: states_with_events
-- States with all their event rows, by one snapshot.
SELECT e.id::text, e.state,
       ARRAY(SELECT h.events FROM history h WHERE h.execution_id = e.id ORDER BY h.first_event)
FROM executions e
WHERE e.id > %(after)s::uuid AND (%(id)s::uuid IS NULL OR e.id = %(id)s::uuid)
ORDER BY e.id LIMIT %(limit)s
