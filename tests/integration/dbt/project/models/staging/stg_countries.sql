select code, title from {{ ref('countries') }}
