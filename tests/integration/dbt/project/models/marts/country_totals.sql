select n.title as country, count(*) as orders, sum(o.amount) as amount
from {{ ref('orders_enriched') }} o join {{ ref('stg_countries') }} n on n.code = o.country
group by n.title
